/** Small pieces that several views share. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { hue, initials } from '../format.ts';
import type { Status } from '../store/people.ts';
import { Icon, type IconName } from './icons.tsx';

export function Avatar({ username, name, size = 'm', status }: { username: string; name: string; size?: 's' | 'm' | 'l' | 'xl'; status?: Status }) {
	return (
		<span class={`avatar avatar-${size} hue-${hue(username)}`} aria-hidden="true">
			{initials(name)}
			{status && <span class="dot" data-status={status} />}
		</span>
	);
}

interface IconButtonProps {
	icon: IconName;
	/** Says what a press will do. */
	label: string;
	testid: string;
	onClick: () => void;
	kind?: 'plain' | 'call' | 'control' | 'danger' | 'accept' | 'warm';
	pressed?: boolean;
	expanded?: boolean;
	disabled?: boolean;
	badge?: ComponentChildren;
	size?: number;
}

export function IconButton({ icon, label, testid, onClick, kind = 'plain', pressed, expanded, disabled, badge, size }: IconButtonProps) {
	return (
		<button
			type="button"
			class={`icon-button is-${kind}`}
			data-testid={testid}
			aria-label={label}
			title={label}
			aria-pressed={pressed}
			aria-expanded={expanded}
			disabled={disabled}
			onClick={onClick}
		>
			<Icon name={icon} {...(size ? { size } : {})} />
			{badge}
		</button>
	);
}

/** A field with label, hint and complaint, tied together for screen readers. */
export function Field(props: {
	id: string;
	label: string;
	type?: string;
	value: string;
	onInput: (value: string) => void;
	autocomplete?: string;
	hint?: string;
	error?: string | undefined;
	required?: boolean;
	minLength?: number;
	maxLength?: number;
	autofocus?: boolean;
	spellcheck?: boolean;
}) {
	const { id, label, hint, error } = props;
	const ref = useRef<HTMLInputElement>(null);
	const [shown, setShown] = useState(false);
	const secret = props.type === 'password';
	useEffect(() => {
		if (props.autofocus) ref.current?.focus();
	}, []);
	const describedBy = [hint && !error ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
	return (
		<div class="field">
			<label for={id}>{label}</label>
			<div class="field-box">
				<input
					ref={ref}
					id={id}
					name={id}
					data-testid={id}
					type={secret && shown ? 'text' : (props.type ?? 'text')}
					value={props.value}
					autocomplete={props.autocomplete as never}
					autocapitalize="none"
					spellcheck={props.spellcheck ?? false}
					required={props.required}
					minLength={props.minLength}
					maxLength={props.maxLength}
					aria-invalid={error ? 'true' : undefined}
					aria-describedby={describedBy || undefined}
					onInput={(e) => props.onInput(e.currentTarget.value)}
				/>
				{secret && (
					<button type="button" class="reveal" aria-pressed={shown} aria-label={shown ? 'Hide the password' : 'Show the password'} onClick={() => setShown(!shown)}>
						{shown ? 'Hide' : 'Show'}
					</button>
				)}
			</div>
			{error ? (
				<p class="field-error" id={`${id}-error`}>
					{error}
				</p>
			) : (
				hint && (
					<p class="field-hint" id={`${id}-hint`}>
						{hint}
					</p>
				)
			)}
		</div>
	);
}

/** Rerenders every second while mounted. */
export function useSeconds(): number {
	const [now, setNow] = useState(() => Date.now());
	useEffect(() => {
		const timer = setInterval(() => setNow(Date.now()), 1000);
		return () => clearInterval(timer);
	}, []);
	return now;
}

export const STATUS_WORDS: Record<Status, string> = { online: 'Online', busy: 'In a call', dnd: 'Do not disturb', offline: 'Offline', unknown: 'Checking…' };
