# shellcheck shell=bash
# Messages to a person. Sourced.

say() {
	printf 'duplex: %s\n' "$*" >&2
}

# One sentence, then the end.
die() {
	printf 'duplex: %s\n' "$*" >&2
	exit 1
}
