/** Log in and sign up. */
import { useState } from 'preact/hooks';
import { certificateLogIn, certificateUrl, logIn, notice, signUp } from '../app.ts';
import { ApiError } from '../api.ts';
import { Icon, Mark } from './icons.tsx';
import { Field } from './parts.tsx';

function asApiError(e: unknown): ApiError {
	return e instanceof ApiError ? e : new ApiError(0, 'unexpected', 'Something went wrong', 'Reload the page and try again.');
}

export function Login() {
	const [signingUp, setSigningUp] = useState(false);
	return (
		<div class="gate">
			<section class="gate-art" aria-hidden="true">
				<Waves />
				<p class="gate-slogan">
					Two people.
					<br />
					One clear line.
				</p>
			</section>
			<main class="gate-main">
				<div class="gate-card">
					<header class="gate-brand">
						<Mark size={40} />
						<span>Duplex</span>
					</header>
					{notice.value && (
						<p class="notice" role="status" data-testid="notice" data-code={notice.value.code}>
							{notice.value.text}
						</p>
					)}
					{signingUp ? <SignUpForm /> : <LogInForm />}
					<p class="gate-switch">
						{signingUp ? 'You have an account already?' : 'New here?'}{' '}
						<button
							type="button"
							class="link"
							data-testid={signingUp ? 'goto-login' : 'goto-signup'}
							onClick={() => {
								notice.value = null;
								setSigningUp(!signingUp);
							}}
						>
							{signingUp ? 'Log in' : 'Create an account'}
						</button>
					</p>
				</div>
			</main>
		</div>
	);
}

function FormError({ error, testid }: { error: ApiError | null; testid: string }) {
	if (!error) return null;
	const wait = error.retryAfter ? ` Wait ${error.retryAfter} s.` : '';
	return (
		<p class="form-error" role="alert" data-testid={testid} data-code={error.code}>
			<Icon name="alert" size={18} />
			<span>
				{error.detail || error.title}
				{wait}
			</span>
		</p>
	);
}

function LogInForm() {
	const [username, setUsername] = useState('');
	const [password, setPassword] = useState('');
	const [error, setError] = useState<ApiError | null>(null);
	const [pending, setPending] = useState(false);

	async function submit(e: Event): Promise<void> {
		e.preventDefault();
		if (pending) return;
		setPending(true);
		setError(null);
		try {
			await logIn(username.trim().toLowerCase(), password);
		} catch (err) {
			setError(asApiError(err));
			setPending(false);
		}
	}

	return (
		<form data-testid="login-form" onSubmit={(e) => void submit(e)} aria-labelledby="login-title">
			<h1 id="login-title">Welcome back</h1>
			<Field id="login-username" label="User name" value={username} onInput={setUsername} autocomplete="username" required autofocus maxLength={32} />
			<Field id="login-password" label="Password" type="password" value={password} onInput={setPassword} autocomplete="current-password" required />
			<FormError error={error} testid="login-error" />
			<button type="submit" class="button is-primary is-wide" data-testid="login-submit" disabled={pending} aria-busy={pending}>
				{pending ? 'Logging in…' : 'Log in'}
			</button>
			{certificateUrl.value && (
				<button type="button" class="button is-wide" data-testid="login-certificate" onClick={certificateLogIn}>
					<Icon name="key" size={18} /> Log in with a certificate
				</button>
			)}
		</form>
	);
}

function SignUpForm() {
	const [username, setUsername] = useState('');
	const [name, setName] = useState('');
	const [password, setPassword] = useState('');
	const [error, setError] = useState<ApiError | null>(null);
	const [pending, setPending] = useState(false);

	async function submit(e: Event): Promise<void> {
		e.preventDefault();
		if (pending) return;
		setPending(true);
		setError(null);
		try {
			await signUp(username.trim().toLowerCase(), name.trim(), password);
		} catch (err) {
			setError(asApiError(err));
			setPending(false);
		}
	}

	return (
		<form data-testid="signup-form" onSubmit={(e) => void submit(e)} aria-labelledby="signup-title">
			<h1 id="signup-title">Create your account</h1>
			<Field
				id="signup-username"
				label="User name"
				value={username}
				onInput={setUsername}
				autocomplete="username"
				required
				autofocus
				minLength={2}
				maxLength={32}
				hint="Letters, digits, dot, dash; this is how others find you."
				error={error?.field('username')}
			/>
			<Field id="signup-name" label="Your name" value={name} onInput={setName} autocomplete="name" required maxLength={64} spellcheck={false} error={error?.field('display_name')} />
			<Field
				id="signup-password"
				label="Password"
				type="password"
				value={password}
				onInput={setPassword}
				autocomplete="new-password"
				required
				hint="Long beats complicated: a few words will do."
				error={error?.field('password')}
			/>
			<FormError error={error} testid="signup-error" />
			<button type="submit" class="button is-primary is-wide" data-testid="signup-submit" disabled={pending} aria-busy={pending}>
				{pending ? 'Creating…' : 'Create account'}
			</button>
		</form>
	);
}

/** The mark, large, with its sound going both ways. */
export function Waves() {
	const rings = [58, 92, 128, 166, 206, 248];
	return (
		<svg class="waves" viewBox="0 0 600 600" preserveAspectRatio="xMidYMid slice" focusable="false">
			{rings.map((r, i) => (
				<path key={`l${r}`} class={`wave wave-left wave-${i}`} d={`M288 ${300 - r}a${r} ${r} 0 0 0 0 ${2 * r}`} />
			))}
			{rings.map((r, i) => (
				<path key={`r${r}`} class={`wave wave-right wave-${i}`} d={`M312 ${300 - r}a${r} ${r} 0 0 1 0 ${2 * r}`} />
			))}
			<path class="wave-core-left" d="M288 264a36 36 0 0 0 0 72z" />
			<path class="wave-core-right" d="M312 264a36 36 0 0 1 0 72z" />
		</svg>
	);
}
