// Exchanges the browser's client certificate for a one-time ticket and carries it back to the page of the main host, in the fragment, which
// is never sent to a server. `state` came with us in our own fragment and goes back unchanged: by it the page knows that it had asked.

const main = new URL(location.href);
main.host = location.host.replace(/^cert\./, "");
main.pathname = "/";
main.search = "";

const back = document.getElementById("back");
back.href = main.origin + "/";

const messages = {
	403: "Your browser sent no valid certificate. Install one (Settings → Certificates on the page), or log in with your password.",
	429: "Too many attempts; wait a moment and reload.",
};

function fail(text) {
	document.getElementById("state").textContent = text;
	back.hidden = false;
}

async function exchange() {
	const state = new URLSearchParams(location.hash.slice(1)).get("state") ?? "";
	history.replaceState(null, "", "/");
	const reply = await fetch("/api/v1/sessions/certificate", { method: "POST", headers: { "X-Duplex-Request": "1" } });
	if (!reply.ok) {
		const problem = await reply.json().catch(() => ({}));
		return fail(messages[reply.status] ?? problem.detail ?? "The server refused the certificate.");
	}
	const { ticket } = await reply.json();
	main.hash = new URLSearchParams({ ticket, state }).toString();
	location.replace(main);
}

exchange().catch(() => fail("The server does not answer; try again."));
