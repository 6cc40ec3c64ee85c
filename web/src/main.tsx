/** Entry of the page. */
import { render } from 'preact';
import { boot, client } from './app.ts';
import { applyTheme } from './settings.ts';
import { unlockTones } from './tones.ts';
import { Root } from './ui/root.tsx';

applyTheme();
unlockTones();
render(<Root />, document.getElementById('app') as HTMLElement);
void boot();

/** A read-only look inside for tests (web/TESTIDS.md); nothing in it that script on the page could not have otherwise. */
const debug = {
	get peerConnection() {
		return client.value?.calls.lastPeerConnection ?? null;
	},
	get localStream() {
		return client.value?.calls.lastLocalStream ?? null;
	},
	get phase() {
		return client.value?.calls.state.value.phase ?? 'idle';
	},
	get registered() {
		return client.value?.line.value === 'online';
	},
};
Object.defineProperty(window, '__duplex', { value: Object.freeze({ debug: Object.freeze(debug) }) });
