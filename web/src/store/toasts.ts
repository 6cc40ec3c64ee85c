/** Short notices that go by themselves. */
import { signal } from '@preact/signals';

export interface Toast {
	id: number;
	kind: string;
	text: string;
}

const LIFE_MS = 6000;
/** More would hide what they speak of. */
const AT_ONCE = 2;
let next = 1;

export const toasts = signal<readonly Toast[]>([]);

export function toast(kind: string, text: string): void {
	const id = next++;
	toasts.value = [...toasts.value.slice(1 - AT_ONCE), { id, kind, text }];
	setTimeout(() => dismissToast(id), LIFE_MS);
}

export function dismissToast(id: number): void {
	toasts.value = toasts.value.filter((t) => t.id !== id);
}
