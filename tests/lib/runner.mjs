// Runs test programs and counts. Usage, from the top of the tree: tests/run --group NAME:SECONDS:PARALLEL FILE… [--group …]
//
// A file is a cmocka program or a script that prints TAP, a node test (*.test.mjs), or a fuzzer's replay (fuzz_X), which gets its seeds.
// Every file has SECONDS; PARALLEL of a group run at once. A program that dies, prints no result or overruns its time counts as one failed
// test. What failed is printed with its output; the last line is `N passed, N failed` (`, N skipped`). Exit status 0 only if something
// passed and nothing failed.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

function parseArguments(words) {
	const groups = [];
	for (let i = 0; i < words.length; i++) {
		if (words[i] === "--group") {
			const [name, seconds, parallel] = words[++i].split(":");
			groups.push({ name, seconds: Number(seconds), parallel: Number(parallel), files: [] });
		} else {
			groups.at(-1).files.push(words[i]);
		}
	}
	return groups;
}

function commandFor(file) {
	const base = path.basename(file);
	if (file === "web/test.mjs")
		return [process.execPath, file, "--test-reporter=tap"];
	if (/\.test\.(mjs|js|ts)$/.test(base))
		return [process.execPath, "--test", "--test-reporter=tap", file];
	if (base.startsWith("fuzz_")) {
		const folder = path.join("tests/fuzz", path.basename(path.dirname(file)));
		const name = base.slice("fuzz_".length);
		return [file, ...["seeds", "regressions"].map((kind) => path.join(folder, kind, name)).filter(existsSync)];
	}
	return [file];
}

// Runs one file in a process group of its own, so that what it left behind can be ended with it.
function execute(command, seconds) {
	return new Promise((done) => {
		const env = { ...process.env, CMOCKA_MESSAGE_OUTPUT: "TAP", NODE_TEST_CONTEXT: undefined };
		const child = spawn(command[0], command.slice(1), { detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
		let output = "";
		let overrun = false;
		const add = (chunk) => {
			if (output.length < 4 << 20)
				output += chunk;
		};
		const end = (signal) => {
			try {
				process.kill(-child.pid, signal);
			} catch { /* already gone */ }
		};
		const timer = setTimeout(() => {
			overrun = true;
			end("SIGTERM");
			setTimeout(() => end("SIGKILL"), 15000).unref();
		}, seconds * 1000);
		child.stdout.setEncoding("utf8").on("data", add);
		child.stderr.setEncoding("utf8").on("data", add);
		child.on("error", (error) => {
			clearTimeout(timer);
			done({ output: String(error), status: 127, overrun });
		});
		child.on("exit", (code, signal) => {
			clearTimeout(timer);
			end("SIGKILL");
			// "close" comes when the last output is read; a process that left the group may hold the pipe for ever.
			const finish = () => done({ output, status: signal ?? code, overrun });
			child.once("close", finish);
			setTimeout(finish, 2000).unref();
		});
	});
}

// Counts results of TAP at any depth, leaving out those that only sum up the subtests below them.
function parseTap(output) {
	const result = { passed: 0, failed: 0, skipped: 0, failures: [] };
	let deepest = -1; // indent of the results seen since the last result further out
	for (const line of output.split("\n")) {
		const match = /^(\s*)(not ok|ok)\b\s*\d*\s*-?\s*(.*)$/.exec(line);
		if (!match)
			continue;
		const [, indent, word, name] = match;
		const summary = deepest > indent.length;
		deepest = indent.length;
		if (summary)
			continue;
		if (/#\s*skip/i.test(name)) {
			result.skipped++;
			result.skips = [...(result.skips ?? []), name];
		} else if (word === "ok") {
			result.passed++;
		} else {
			result.failed++;
			result.failures.push(name);
		}
	}
	return result;
}

async function runFile(group, file) {
	const started = Date.now();
	const { output, status, overrun } = await execute(commandFor(file), group.seconds);
	const result = parseTap(output);
	const fail = (why) => {
		result.failed++;
		result.failures.push(why);
	};
	if (overrun)
		fail(`did not end within ${group.seconds} s`);
	else if (status !== 0 && result.failed === 0)
		fail(`ended with status ${status}`);
	else if (result.passed + result.failed + result.skipped === 0)
		fail("reported no test");
	report(group, file, result, output, (Date.now() - started) / 1000);
	return result;
}

function report(group, file, result, output, seconds) {
	const label = `${group.name.padEnd(7)}${path.relative(".", file).replace(/^build\/[^/]+\/tests\//, "")}`;
	const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : "";
	console.log(`${label}: ${result.passed} ok${skipped}${result.failed > 0 ? `, ${result.failed} FAILED` : ""} (${seconds.toFixed(1)} s)`);
	for (const name of result.skips ?? [])
		console.log(`    skipped: ${name}`);
	if (result.failed === 0)
		return;
	for (const name of result.failures)
		console.log(`    FAILED: ${name}`);
	const lines = output.split("\n");
	const shown = lines.length > 400 ? [...lines.slice(0, 150), `    … ${lines.length - 400} lines left out …`, ...lines.slice(-250)] : lines;
	console.log(shown.map((line) => `    | ${line}`).join("\n"));
}

async function runGroup(group, totals) {
	const queue = [...new Set(group.files)];
	const worker = async () => {
		for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
			const result = await runFile(group, file);
			for (const key of ["passed", "failed", "skipped"])
				totals[key] += result[key];
		}
	};
	await Promise.all(Array.from({ length: group.parallel }, worker));
}

async function main() {
	const totals = { passed: 0, failed: 0, skipped: 0 };
	for (const group of parseArguments(process.argv.slice(2)))
		await runGroup(group, totals);
	const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
	console.log(`${totals.passed} passed, ${totals.failed} failed${skipped}`);
	process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}

await main();
