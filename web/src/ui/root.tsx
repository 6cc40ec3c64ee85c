/** Chooses the view. */
import { boot, client, elsewhereInCall, homeView, takeHere, view } from '../app.ts';
import { Login } from './login.tsx';
import { Mark } from './icons.tsx';

export function Root() {
	switch (view.value) {
		case 'boot':
			return <Splash />;
		case 'login':
			return <Login />;
		case 'home': {
			const Home = homeView.value;
			return Home && client.value ? <Home client={client.value} /> : <Splash />;
		}
		case 'elsewhere':
			return (
				<Message
					testid="elsewhere"
					title={elsewhereInCall.value ? 'You are in a call in another tab' : 'Duplex is open in another tab'}
					text={elsewhereInCall.value ? 'Go on there. Using Duplex here would end that call.' : 'Calls ring in one tab at a time, so this one rests until the other is closed.'}
					button="Use Duplex here"
					buttonId="elsewhere-take"
					onClick={() => void takeHere()}
				/>
			);
		case 'unreachable':
			return (
				<Message
					testid="unreachable"
					title="The server cannot be reached"
					text="Check your connection, then try again."
					button="Try again"
					buttonId="unreachable-retry"
					onClick={() => {
						view.value = 'boot';
						void boot();
					}}
				/>
			);
	}
}

function Splash() {
	return (
		<main class="splash" aria-busy="true" aria-label="Loading">
			<Mark size={72} />
		</main>
	);
}

function Message(p: { testid: string; title: string; text: string; button: string; buttonId: string; onClick: () => void }) {
	return (
		<main class="splash" data-testid={p.testid}>
			<Mark size={72} />
			<h1>{p.title}</h1>
			<p>{p.text}</p>
			<button type="button" class="button is-primary" data-testid={p.buttonId} onClick={p.onClick}>
				{p.button}
			</button>
		</main>
	);
}
