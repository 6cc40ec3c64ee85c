import { dismissToast, toasts } from '../store/toasts.ts';
import { IconButton } from './parts.tsx';

export function Toasts() {
	return (
		<div class="toasts" role="status" aria-live="polite">
			{toasts.value.map((t) => (
				<div key={t.id} class="toast" data-testid="toast" data-kind={t.kind}>
					<span>{t.text}</span>
					<IconButton icon="close" label="Dismiss" testid="toast-close" onClick={() => dismissToast(t.id)} size={17} />
				</div>
			))}
		</div>
	);
}
