/** Where the keyboard is. Whoever has no mouse must never be put back to the top of the page. */
import { useEffect, useRef } from 'preact/hooks';

/** What had the focus is gone, and nothing has taken it since. */
export function focusLost(): boolean {
	return document.activeElement === null || document.activeElement === document.body;
}

/** After each time that `away` was true the focus goes back to where it was before, or else, and at the very first, to `home`. */
export function useFocusReturn(away: boolean, home: () => HTMLElement | null): void {
	const before = useRef<Element | null>(null);
	const was = useRef(false);
	// While rendering the page is still as it was; an effect would come too late.
	if (away && !was.current) before.current = document.activeElement;
	was.current = away;
	useEffect(() => {
		if (away || !focusLost()) return;
		if (before.current instanceof HTMLElement && before.current.isConnected) before.current.focus();
		if (focusLost()) home()?.focus(); // that was removed, hidden or nothing
	}, [away]);
}
