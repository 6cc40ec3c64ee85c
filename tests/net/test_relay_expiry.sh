#!/usr/bin/env bash
# What ends by time, with short times from the configuration. (`SLOW=1 tests/net/test_relay_expiry.sh` also waits for the RFC's 300 s.)
#
#    namespace: dpx0 10.83.84.1 (clients), .11 and .12 (peers)  ── TAP ──  duplex-relay 10.83.84.2
# shellcheck disable=SC2317 # functions are called through `check`
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"
need_root

expired() {
	[ "$(relay_metric duplex_relay_expired_total)" -ge 2 ]
}

namespace NS
if relay_start "$NS" 'lifetime = 3' 'lifetime-max = 3' 'nonce-lifetime = 10'; then
	take_tap short turncheck "$NS" --group expiry --lifetime 3 --nonce-lifetime 10
	check 'those that ended are counted' expired
	check 'no allocation is left behind' until_true 5 no_allocations
	check 'SIGTERM ends it with status 0' relay_stop
fi
namespace NS
if relay_start "$NS"; then
	take_tap 'expiry = allocate' turncheck "$NS" --group credentials
	check 'SIGTERM ends it with status 0' relay_stop
fi
namespace NS
if relay_start "$NS" 'credential-expiry = always'; then
	take_tap 'expiry = always' turncheck "$NS" --group credentials --strict-expiry
	check 'SIGTERM ends it with status 0' relay_stop
fi
if [ -z "${SLOW:-}" ]; then
	skip 'permissions end after 300 s' 'takes six minutes; SLOW=1 runs it'
else
	namespace NS
	relay_start "$NS" && take_tap long turncheck "$NS" --group slow
fi
done_testing
