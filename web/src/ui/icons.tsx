/** Line icons on a 24 grid, drawn for this page. They are decoration: the control that holds one has the words. */
const PATHS = {
	phone: 'M6.5 3.5h2.6l1.6 4.4-2 1.5a12 12 0 0 0 5.9 5.9l1.5-2 4.4 1.6v2.6a2 2 0 0 1-2.2 2A16.500 16.500 0 0 1 4.500 5.700a2 2 0 0 1 2-2.200Z',
	hangup: 'M3.400 14.600c-.5-.5-.6-1.300-.1-1.900a12.500 12.500 0 0 1 17.400 0c.5.6.4 1.400-.1 1.900l-1.700 1.700c-.5.5-1.200.5-1.700.1l-1.700-1.200a1.300 1.300 0 0 1-.5-1.400l.3-1.500a10.500 10.500 0 0 0-6.600 0l.3 1.500c.1.5-.1 1.100-.5 1.400l-1.700 1.200c-.5.4-1.200.4-1.700-.1Z',
	video: 'M4.500 6.500h9a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2Zm11 4.500 5-3v8l-5-3',
	videoOff: 'M15.500 11l5-3v8l-3-1.800M8 6.500h5.500a2 2 0 0 1 2 2V14m0 1.500a2 2 0 0 1-2 2h-9a2 2 0 0 1-2-2v-7a2 2 0 0 1 1.700-2M3 3l18 18',
	mic: 'M12 3.500a2.800 2.800 0 0 1 2.800 2.800v5a2.800 2.800 0 0 1-5.600 0v-5A2.800 2.800 0 0 1 12 3.500ZM5.800 11a6.200 6.200 0 0 0 12.400 0M12 17.200v3.300',
	micOff: 'M9.200 9.200v2.100a2.800 2.800 0 0 0 4.700 2M14.800 10.500V6.300a2.800 2.800 0 0 0-5.300-1.200M5.800 11a6.200 6.200 0 0 0 9.900 5M18.200 11c0 .9-.2 1.800-.5 2.500M12 17.200v3.300M3 3l18 18',
	chat: 'M4.500 5h15a1.500 1.500 0 0 1 1.500 1.500v9a1.500 1.500 0 0 1-1.500 1.500H11l-4.500 3.500V17h-2A1.500 1.500 0 0 1 3 15.500v-9A1.500 1.500 0 0 1 4.500 5Z',
	send: 'M4 12 20 4.500 15.500 20l-3.700-6.200ZM11.800 13.800 20 4.500',
	sliders: 'M4 7h9m4 0h3M4 17h3m4 0h9M15 4.800v4.400M9 14.800v4.400',
	search: 'M10.500 4a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13Zm4.700 11.200L20 20',
	gear: 'M12 9a3 3 0 1 1 0 6 3 3 0 0 1 0-6Zm0-5.500v2.200m0 12.600v2.200M3.500 12h2.200m12.600 0h2.200M6 6l1.600 1.600m8.800 8.800L18 18M6 18l1.600-1.600m8.800-8.800L18 6',
	logout: 'M10 4.500H6a1.500 1.500 0 0 0-1.500 1.500v12A1.500 1.500 0 0 0 6 19.500h4M15 8l4 4-4 4m4-4H9.500',
	plus: 'M12 5v14M5 12h14',
	check: 'M5 12.500l4.500 4.500L19 7.500',
	close: 'M6 6l12 12M18 6 6 18',
	back: 'M14.500 5.500 8 12l6.500 6.500',
	sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm0-5v2m0 14v2M3 12h2m14 0h2M5.600 5.600 7 7m10 10 1.400 1.400M5.600 18.400 7 17M17 7l1.400-1.400',
	moon: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10Z',
	incoming: 'M18 6 7 17m0-8v8h8',
	outgoing: 'M6 18 17 7m-8 0h8v8',
	missed: 'M4 7l7 7 8-8m-6 0h6v6M4 18.500h16',
	trash: 'M5 7h14M10 7V4.500h4V7m-7.500 0 .8 12.500h9.400L17.500 7',
	userMinus: 'M10 4.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7ZM3.500 19.500a6.500 6.500 0 0 1 13 0M16.500 9.500h5',
	key: 'M8 11a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm2.900 1.200L19 4m-3 3 2.500 2.500M13.500 9.500l2 2',
	bell: 'M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15ZM10 20.500h4',
	expand: 'M4.500 9.500v-5h5m5 0h5v5m0 5v5h-5m-5 0h-5v-5',
	lock: 'M6.500 11h11v8.500h-11Zm2-.2V8a3.500 3.500 0 0 1 7 0v2.800',
	alert: 'M12 4 21 19.500H3ZM12 10v4.500m0 2v.2',
	people: 'M9 5a3.200 3.200 0 1 1 0 6.400A3.200 3.200 0 0 1 9 5ZM2.500 19a6.500 6.500 0 0 1 13 0M16 5.300a3.200 3.200 0 0 1 0 5.900m2 2.500a6.500 6.500 0 0 1 3.500 5.300',
	clock: 'M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16Zm0 3.500V12l3 2',
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
