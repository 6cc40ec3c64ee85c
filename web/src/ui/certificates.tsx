/** Client certificates of this user: issue one as a file for the browser or the system to import, list them, revoke them. */
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, type Certificate } from '../api.ts';
import { api } from '../app.ts';
import { Field } from './parts.tsx';

const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

function offerFile(base64: string, name: string): void {
	const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
	const url = URL.createObjectURL(new Blob([bytes], { type: 'application/x-pkcs12' }));
	const link = document.createElement('a');
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function Certificates() {
	const list = useSignal<Certificate[] | null>(null);
	const label = useSignal('');
	const passphrase = useSignal('');
	const error = useSignal<ApiError | null>(null);
	const pending = useSignal(false);

	async function attempt(work: () => Promise<void>): Promise<void> {
		pending.value = true;
		error.value = null;
		try {
			await work();
			list.value = await api.certificates();
		} catch (e) {
			error.value = e instanceof ApiError ? e : new ApiError(0, 'unexpected', 'That did not work', '');
		} finally {
			pending.value = false;
		}
	}

	useEffect(() => {
		api.certificates().then(
			(l) => (list.value = l),
			() => (list.value = null),
		);
	}, []);
	// No list: this server issues none.
	if (list.value === null) return null;

	return (
		<section data-testid="certificates">
			<h3>Certificates</h3>
			<p class="field-hint">A certificate in your browser logs you in without the password.</p>
			<ul class="certificates">
				{list.value.map((c) => (
					<li key={c.serial} data-testid="certificate" data-serial={c.serial}>
						<span>
							<strong>{c.label || 'Certificate'}</strong>
							<span class="field-hint">until {day.format(Date.parse(c.not_after))}</span>
						</span>
						<button type="button" class="button is-small" data-testid={`revoke-${c.serial}`} disabled={pending.value} onClick={() => void attempt(() => api.revokeCertificate(c.serial))}>
							Revoke
						</button>
					</li>
				))}
			</ul>
			<form
				class="certificate-form"
				onSubmit={(e) => {
					e.preventDefault();
					void attempt(async () => {
						const { pkcs12 } = await api.issueCertificate(label.value.trim(), passphrase.value);
						offerFile(pkcs12, 'duplex.p12');
						label.value = '';
						passphrase.value = '';
					});
				}}
			>
				<Field id="certificate-label" label="Name of the device" value={label.value} onInput={(v) => (label.value = v)} required maxLength={64} autocomplete="off" error={error.value?.field('label')} />
				<Field id="certificate-passphrase" label="Passphrase for the file" type="password" value={passphrase.value} onInput={(v) => (passphrase.value = v)} required autocomplete="new-password" hint="You will need it once, when you import the file." error={error.value?.field('passphrase')} />
				{error.value && error.value.fields.length === 0 && (
					<p class="form-error" role="alert" data-testid="certificate-error">
						{error.value.message}
					</p>
				)}
				<button type="submit" class="button" data-testid="certificate-issue" disabled={pending.value}>
					Make a certificate
				</button>
			</form>
		</section>
	);
}
