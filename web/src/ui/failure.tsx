/** Why a call did not come about, and what can be done. */
import { useEffect, useRef } from 'preact/hooks';
import type { Client } from '../client.ts';
import { Avatar } from './parts.tsx';
import { Icon } from './icons.tsx';

export function FailureCard({ client }: { client: Client }) {
	const failure = client.calls.failure.value;
	const ref = useRef<HTMLDivElement>(null);
	useEffect(() => {
		if (failure) ref.current?.focus();
	}, [failure]);
	if (!failure) return null;
	const { peer, video } = failure;
	const again = (withVideo: boolean): void => {
		client.calls.dismissFailure();
		client.call(peer.username, withVideo);
	};
	const write = (): void => {
		client.calls.dismissFailure();
		client.open(peer.username);
	};
	const writable = failure.code === 'declined' || failure.code === 'no-answer' || failure.code === 'busy' || failure.code === 'do-not-disturb' || failure.code === 'not-registered';
	return (
		<div class="failure-place">
			<div class="failure" ref={ref} tabIndex={-1} role="alertdialog" aria-labelledby="failure-title" aria-describedby="failure-action" data-testid="failure" data-code={failure.code} data-sip={failure.sip ?? ''}>
				<span class="failure-who">
					<Avatar username={peer.username} name={peer.name} size="l" />
					<span class="failure-sign">
						<Icon name={failure.code.startsWith('media') ? 'micOff' : 'hangup'} size={18} />
					</span>
				</span>
				<h2 id="failure-title" data-testid="failure-title">
					{failure.title}
				</h2>
				<p id="failure-action" data-testid="failure-action">
					{failure.action}
				</p>
				<div class="failure-buttons">
					{failure.retry && (
						<button type="button" class="button is-primary" data-testid="failure-retry" onClick={() => again(video)}>
							Call again
						</button>
					)}
					{failure.audioOnly && (
						<button type="button" class="button" data-testid="failure-audio-only" onClick={() => again(false)}>
							Call without camera
						</button>
					)}
					{writable && (
						<button type="button" class="button" data-testid="failure-write" onClick={write}>
							Write a message
						</button>
					)}
					<button type="button" class="button" data-testid="failure-close" onClick={() => client.calls.dismissFailure()}>
						Close
					</button>
				</div>
				<p class="failure-code">
					{failure.code}
					{failure.sip !== null && ` · SIP ${failure.sip}`}
				</p>
			</div>
		</div>
	);
}
