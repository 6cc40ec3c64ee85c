/** Line icons on a 24 grid, drawn for this page. They are decoration: the control that holds one has the words. */
const PATHS = {
	phone: 'M6.5 3.5h2.6l1.6 4.4-2 1.5a12 12 0 0 0 5.9 5.9l1.5-2 4.4 1.6v2.6a2 2 0 0 1-2.2 2A16.5 16.5 0 0 1 4.5 5.7a2 2 0 0 1 2-2.2Z',
	hangup: 'M3.4 14.6c-.5-.5-.6-1.3-.1-1.9a12.5 12.5 0 0 1 17.4 0c.5.6.4 1.4-.1 1.9l-1.7 1.7c-.5.5-1.2.5-1.7.1l-1.7-1.2a1.3 1.3 0 0 1-.5-1.4l.3-1.5a10.5 10.5 0 0 0-6.6 0l.3 1.5c.1.5-.1 1.1-.5 1.4l-1.7 1.2c-.5.4-1.2.4-1.7-.1Z',
	video: 'M4.5 6.5h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Zm11 4.5 5-3v8l-5-3',
	videoOff: 'M15.5 11l5-3v8l-3-1.8M8 6.5h5.5a2 2 0 0 1 2 2V14m0 1.5a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.7-2M3 3l18 18',
	mic: 'M12 3.5a2.8 2.8 0 0 1 2.8 2.8v5a2.8 2.8 0 0 1-5.6 0v-5A2.8 2.8 0 0 1 12 3.5ZM5.8 11a6.2 6.2 0 0 0 12.4 0M12 17.2v3.3',
	micOff: 'M9.2 9.2v2.1a2.8 2.8 0 0 0 4.7 2M14.8 10.5V6.3a2.8 2.8 0 0 0-5.3-1.2M5.8 11a6.2 6.2 0 0 0 9.9 5M18.2 11c0 .9-.2 1.8-.5 2.5M12 17.2v3.3M3 3l18 18',
	chat: 'M4.5 5h15a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5H11l-4.5 3.5V17h-2A1.5 1.5 0 0 1 3 15.5v-9A1.5 1.5 0 0 1 4.5 5Z',
	send: 'M4 12 20 4.5 15.5 20l-3.7-6.2ZM11.8 13.8 20 4.5',
	sliders: 'M4 7h9m4 0h3M4 17h3m4 0h9M15 4.8v4.4M9 14.8v4.4',
	search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13Zm4.7 11.2L20 20',
	gear: 'M12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6ZM10.4 3.5h3.2l.5 2.5 1.7 1 2.4-.8 1.6 2.8-1.9 1.7v2.6l1.9 1.7-1.6 2.8-2.4-.8-1.7 1-.5 2.5h-3.2l-.5-2.5-1.7-1-2.4.8L4.2 15l1.9-1.7v-2.6L4.2 9l1.6-2.8 2.4.8 1.7-1Z',
	logout: 'M10 4.5H6a1.5 1.5 0 0 0-1.5 1.5v12A1.5 1.5 0 0 0 6 19.5h4M15 8l4 4-4 4m4-4H9.5',
	plus: 'M12 5v14M5 12h14',
	check: 'M5 12.5l4.5 4.5L19 7.5',
	close: 'M6 6l12 12M18 6 6 18',
	back: 'M14.5 5.5 8 12l6.5 6.5',
	sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4',
	moon: 'M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z',
	incoming: 'M18 6 7 17m0-8v8h8',
	outgoing: 'M6 18 17 7m-8 0h8v8',
	missed: 'M4 7l7 7 8-8m-6 0h6v6M4 18.5h16',
	trash: 'M5 7h14M10 7V4.5h4V7m-7.5 0 .8 12.5h9.4L17.5 7',
	userMinus: 'M10 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7ZM3.5 19.5a6.5 6.5 0 0 1 13 0M16.5 9.5h5',
	key: 'M8 11a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm2.9 1.2L19 4m-3 3 2.5 2.5M13.5 9.5l2 2',
	bell: 'M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15ZM10 20.5h4',
	bellOff: 'M6 16.5V11a6 6 0 0 1 9.5-4.9M18 11v5.5l1.5 1.5H6M10 20.5h4M3 3l18 18',
	pause: 'M9 5.5v13M15 5.5v13',
	play: 'M8 5.5v13l10.5-6.5Z',
	transfer: 'M4 8h14m-4-4 4 4-4 4M20 16H6m4-4-4 4 4 4',
	swap: 'M8 4.5v15m-4-4 4 4 4-4M16 19.5v-15m-4 4 4-4 4 4',
	expand: 'M4.5 9.5v-5h5m5 0h5v5m0 5v5h-5m-5 0h-5v-5',
	lock: 'M6.5 11h11v8.5h-11Zm2-.2V8a3.5 3.5 0 0 1 7 0v2.8',
	alert: 'M12 4 21 19.5H3ZM12 10v4.5m0 2v.2',
	people: 'M9 5a3.2 3.2 0 1 1 0 6.4A3.2 3.2 0 0 1 9 5ZM2.5 19a6.5 6.5 0 0 1 13 0M16 5.3a3.2 3.2 0 0 1 0 5.9m2 2.5a6.5 6.5 0 0 1 3.5 5.3',
	clock: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16Zm0 3.5V12l3 2',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 22 }: { name: IconName; size?: number }) {
	return (
		<svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
			<path d={PATHS[name]} />
		</svg>
	);
}

/** The mark: two half discs facing each other, the two directions of a call. */
export function Mark({ size = 34 }: { size?: number }) {
	return (
		<svg class="mark" width={size} height={size} viewBox="0 0 40 40" aria-hidden="true" focusable="false">
			<path class="mark-left" d="M17 6a14 14 0 0 0 0 28z" />
			<path class="mark-right" d="M23 6a14 14 0 0 1 0 28z" />
		</svg>
	);
}
