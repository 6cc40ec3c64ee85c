/* What the option table alone cannot check: ports, addresses, cores, policy. Each wrong configuration gets one
 * sentence that names the option. */
#include "relay/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/policy.h"
#include "tests/lib/cm.h"

static char folder[] = "/tmp/duplex-test-conf-XXXXXX", conf_path[64], secret_path[64];

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(conf_path, sizeof(conf_path), "%s/duplex.conf", folder);
	(void)snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
	FILE *f = fopen(secret_path, "we");
	if (f == NULL || fputs("0123456789abcdef\n", f) < 0 || fclose(f) != 0)
		return -1;
	return chmod(secret_path, 0600);
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(conf_path);
	(void)unlink(secret_path);
	return rmdir(folder);
}

/* Loads a [relay] section and makes plan and policy of it. */
static enum err load(const char *relay, struct relay_plan *plan, struct policy **policy, char why[512])
{
	struct relay_conf c = { 0 };
	FILE *f = fopen(conf_path, "we");

	assert_non_null(f);
	assert_true(fprintf(f, "[common]\nturn-secret = %s\n[relay]\n%s", secret_path, relay) > 0);
	assert_int_equal(fclose(f), 0);
	*policy = NULL;
	why[0] = '\0';
	enum err e = conf_load(conf_path, relay_options, relay_options_count, &c, why, 512);
	if (e == ERR_OK)
		e = relay_plan_make(&c, plan, why, 512);
	if (e == ERR_OK)
		e = policy_new(&c, policy, why, 512);
	conf_free(relay_options, relay_options_count, &c);
	return e;
}

static void defaults_are_make_run(void **state)
{
	struct relay_plan plan;
	struct policy *policy;
	char why[512], text[ADDR_TEXT_SIZE];

	(void)state;
	assert_ok(load("", &plan, &policy, why));
	assert_int_equal(plan.ports, 1);
	assert_string_equal(plan.port[0].device, "net_tap0,iface=dpx0");
	assert_string_equal(plan.port[0].tap, "dpx0");
	assert_string_equal(addr_text(&plan.port[0].ip[0].addr, text), "10.83.84.2");
	assert_int_equal(plan.port[0].host_bits[0], 24);
	assert_true(addr_is_none(&plan.port[0].ip[1].addr));
	/* The kernel's end is the way to everywhere. */
	assert_true(addr_eq(&plan.port[0].ip[0].gateway, &plan.port[0].host[0]));
	assert_false(plan.pinned);
	assert_false(plan.huge);
	assert_false(plan.poll);
	assert_string_equal(policy->realm, "localhost");
	assert_string_equal(policy->secret, "0123456789abcdef");
	policy_free(policy);
}

static void several_ports(void **state)
{
	struct relay_plan plan;
	struct policy *policy;
	char why[512];

	(void)state;
	assert_ok(load("ports = net_tap3 net_memif0,role=client,id=0 0000:01:00.0\naddress = 10.1.0.2/24 10.2.0.2/16 10.3.0.2/30\n"
		       "gateway = - 10.2.0.1 10.3.0.1\ntap-host-address = -\ncores = 2\ncpus = 4 5\nidle = poll\n",
		       &plan, &policy, why));
	assert_int_equal(plan.ports, 3);
	assert_string_equal(plan.port[0].tap, "dtap3");
	assert_true(addr_is_none(&plan.port[0].ip[0].gateway));
	assert_true(addr_is_none(&plan.port[0].host[0]));
	assert_string_equal(plan.port[1].device, "net_memif0,role=client,id=0");
	assert_int_equal(addr_v4_of(&plan.port[1].ip[0].gateway), __builtin_bswap32(0x0a020001));
	assert_true(plan.port[2].is_pci);
	assert_true(plan.huge);
	assert_true(plan.pinned && plan.poll);
	assert_int_equal(plan.cpu[1], 5);
	policy_free(policy);
}

static void interfaces_of_the_kernel(void **state)
{
	struct relay_plan plan;
	struct policy *policy;
	char why[512];

	(void)state;
	assert_ok(load("ports = net_af_xdp0,iface=eth1,force_copy=1 net_af_xdp1,xdp_prog=/x.o,iface=eth2 net_af_packet0,qpairs=2,iface=eth3 net_tap0\n"
		       "address = 10.1.0.2/24 10.2.0.2/24 10.3.0.2/24 10.4.0.2/24\n",
		       &plan, &policy, why));
	assert_string_equal(plan.port[0].kernel_if, "eth1");
	assert_true(plan.port[0].xdp);
	assert_string_equal(plan.port[1].kernel_if, "eth2");
	assert_false(plan.port[1].xdp);
	assert_string_equal(plan.port[2].kernel_if, "eth3");
	assert_false(plan.port[2].xdp);
	assert_string_equal(plan.port[2].tap, "");
	assert_string_equal(plan.port[3].kernel_if, "");
	assert_false(plan.port[0].shared);
	policy_free(policy);

	assert_ok(load("ports = net_tap0,iface=dpx0 net_af_xdp0,iface=eth1\naddress = 10.1.0.2/24 host\ntap-host-address = -\n", &plan, &policy, why));
	assert_false(plan.port[0].shared);
	assert_true(plan.port[1].shared);
	assert_true(addr_is_none(&plan.port[1].ip[0].addr));
	policy_free(policy);
	assert_ok(load("ports = net_tap0,iface=dpx0 net_af_xdp0,iface=eth1\naddress = 10.1.0.2/24 10.2.0.2/24\ntap-host-address = -\nshare-host-address = yes\n",
		       &plan, &policy, why));
	assert_false(plan.port[0].shared);
	assert_true(plan.port[1].shared);
	policy_free(policy);
}

static void both_families(void **state)
{
	struct relay_plan plan;
	struct policy *policy;
	char why[512], text[ADDR_TEXT_SIZE];

	(void)state;
	assert_ok(load("ports = net_tap0 net_null0 net_null1\naddress = fd00:83::2/64,10.83.84.2/24 10.1.0.2/24,2a00:1::5/64 2a00:2::1/127\n"
		       "gateway = - fe80::1,10.1.0.1 2a00:2::\ntap-host-address = 10.83.84.1/24,fd00:83::1/64\n",
		       &plan, &policy, why));
	assert_string_equal(addr_text(&plan.port[0].ip[0].addr, text), "10.83.84.2");
	assert_string_equal(addr_text(&plan.port[0].ip[1].addr, text), "fd00:83::2");
	assert_string_equal(addr_text(&plan.port[0].host[1], text), "fd00:83::1");
	assert_int_equal(plan.port[0].host_bits[0], 24);
	assert_int_equal(plan.port[0].host_bits[1], 64);
	assert_true(addr_is_none(&plan.port[0].ip[1].gateway));
	assert_string_equal(addr_text(&plan.port[1].ip[1].gateway, text), "fe80::1");
	assert_string_equal(addr_text(&plan.port[1].ip[0].gateway, text), "10.1.0.1");
	assert_true(addr_is_none(&plan.port[2].ip[0].addr));
	assert_string_equal(addr_text(&plan.port[2].ip[1].gateway, text), "2a00:2::");
	policy_free(policy);
}

static void behind_a_nat_and_in_a_vlan(void **state)
{
	struct relay_plan plan;
	struct policy *policy;
	char why[512], text[ADDR_TEXT_SIZE];

	(void)state;
	assert_ok(load("ports = net_null0 net_null1 net_null2\naddress = 10.1.0.2/24,fd00:1::2/64 10.2.0.2/24 10.3.0.2/24\n"
		       "gateway = 10.1.0.1,fd00:1::1 10.2.0.1 -\nexternal-address = 2a00::5,203.0.113.5 - -\nvlan = - 100 4094\n",
		       &plan, &policy, why));
	assert_string_equal(addr_text(&plan.port[0].ip[0].shown, text), "203.0.113.5");
	assert_string_equal(addr_text(&plan.port[0].ip[1].shown, text), "2a00::5");
	assert_string_equal(addr_text(&plan.port[1].ip[0].shown, text), "10.2.0.2");
	assert_int_equal(plan.port[0].vlan, 0);
	assert_int_equal(plan.port[1].vlan, 100);
	assert_int_equal(plan.port[2].vlan, 4094);
	policy_free(policy);
}

static const struct {
	const char *relay, *mentions;
} wrong[] = {
	{ "external-address = 203.0.113.5/24\n", "external-address" },
	{ "external-address = 127.0.0.1\n", "external-address" },
	{ "external-address = 2a00::5\n", "external-address" },
	{ "external-address = 10.83.84.9\n", "external-address" },
	{ "external-address = x\n", "external-address" },
	{ "external-address = 203.0.113.5\ngateway = -\n", "external-address" },
	{ "ports = net_null0 net_null1\naddress = 10.1.1.2/24 10.1.2.2/24\ngateway = 10.1.1.1 10.1.2.1\nexternal-address = 8.8.8.8 8.8.8.8\n",
	  "external-address" },
	{ "vlan = 0\n", "vlan" },
	{ "vlan = 4095\n", "vlan" },
	{ "vlan = x\n", "vlan" },
	{ "port-min = 60000\nport-max = 50000\n", "port-min" },
	{ "turn-port = 50000\n", "turn-port" },
	{ "ports =\n", "ports" },
	{ "ports = net_tap0,iface=aVeryLongInterfaceName\n", "ports" },
	{ "ports = net_af_xdp0,iface=aVeryLongInterfaceName\n", "ports" },
	{ "ports = net_af_xdp0\n", "iface=" },
	{ "address = host\n", "only AF_XDP" },
	{ "ports = net_af_xdp0,iface=e\naddress = host\nvlan = 5\n", "vlan" },
	{ "ports = net_af_xdp0,iface=e,xdp_prog=/x.o\naddress = host\n", "only AF_XDP" },
	{ "ports = net_af_xdp0,iface=e\naddress = host\ngateway = 10.1.1.1\n", "gateway" },
	{ "address = 10.1.1.1/33\n", "address" },
	{ "address = 10.1.1.0/24\n", "address" },
	{ "address = 10.1.1.255/24\n", "address" },
	{ "address = 127.0.0.1/8\n", "address" },
	{ "address = 224.0.0.1/24\n", "address" },
	{ "address = fd00::1/64\n", "tap-host-address" },
	{ "address = 10.83.84.2/24,10.83.85.2/24\n", "address" },
	{ "address = 10.83.84.2/24,fd00::1/129\n", "address" },
	{ "address = 10.83.84.2/24,fd00::/64\n", "address" },
	{ "address = 10.83.84.2/24,fe80::1/64\n", "address" },
	{ "address = 10.83.84.2/24,ff02::1/64\n", "address" },
	{ "address = 10.83.84.2/24,::1/64\n", "address" },
	{ "address = 10.83.84.2/24,\n", "address" },
	{ "address = 10.83.84.2/24,fd00::2/64\nmtu = 1279\n", "mtu" },
	{ "address = 10.83.84.2/24,fd00::2/64\ngateway = 10.83.84.1,fd01::1\n", "gateway" },
	{ "gateway = fe80::1\n", "gateway" },
	{ "address = 10.83.84.2/24,fd00::2/64\ntap-host-address = fd00::2/64\n", "tap-host-address" },
	{ "ports = net_null0 net_null1\naddress = 10.1.1.1/24,fd00::2/64 10.1.2.1/24,fd00::2/64\n", "address" },
	{ "address = 10.1.1.2/0\n", "address" },
	{ "address = 10.1.1.1/24 10.1.2.1/24\n", "address" },
	{ "ports = net_null0 net_null1\naddress = 10.1.1.1/24\n", "address" },
	{ "ports = net_null0 net_null1\naddress = 10.1.1.1/24 10.1.1.1/16\n", "address" },
	{ "gateway = 10.9.9.9\n", "gateway" },
	{ "gateway = 10.83.84.2\n", "gateway" },
	{ "tap-host-address = 10.83.84.2/24\n", "tap-host-address" },
	{ "tap-host-address = 10.83.85.1/24\n", "tap-host-address" },
	{ "cores = 2\ncpus = 1\n", "cpus" },
	{ "cpus = x\n", "cpus" },
	{ "idle = lazy\n", "idle" },
	{ "peer-mode = some\n", "peer-mode" },
	{ "peer-allow = 10.0.0.0/40\n", "peer-allow" },
	{ "peer-deny = nonsense\n", "peer-deny" },
	{ "credential-expiry = never\n", "credential-expiry" },
	{ "lifetime = 1000\nlifetime-max = 999\n", "lifetime" },
	{ "password-algorithms = SHA-1\n", "password-algorithms" },
	{ "password-algorithms = MD5 SHA-256 MD5\n", "password-algorithms" },
	{ "users = /nonexistent\n", "/nonexistent" },
	{ "alternate-server = turn.example.org\n", "turn.example.org" },
	{ "drain-to = 192.0.2.1:99999\n", "192.0.2.1:99999" },
	{ "cores = 0\n", "cores" },
	{ "nonsense = 1\n", "nonsense" },
};

static void wrong_ones_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct relay_plan plan;
		struct policy *policy;
		char why[512];

		if (load(wrong[i].relay, &plan, &policy, why) == ERR_OK || strstr(why, wrong[i].mentions) == NULL)
			fail_msg("%s gives '%s'", wrong[i].relay, why);
		assert_null(policy);
	}
}

static void offered_algorithms(void **state)
{
	static const uint8_t both[] = { 0, 1, 0, 0, 0, 2, 0, 0 };
	struct relay_plan plan;
	struct policy *policy;
	char why[512];

	(void)state;
	assert_ok(load("", &plan, &policy, why));
	assert_int_equal(policy->algorithms_len, 4);
	assert_memory_equal(policy->algorithms, both + 4, 4);
	assert_false(policy->anonymity);
	policy_free(policy);
	assert_ok(load("password-algorithms = md5, SHA-256\nusername-anonymity = yes\n", &plan, &policy, why));
	assert_int_equal(policy->algorithms_len, 8);
	assert_memory_equal(policy->algorithms, both, 8);
	assert_true(policy->anonymity);
	policy_free(policy);
	assert_ok(load("password-algorithms =\n", &plan, &policy, why));
	assert_int_equal(policy->algorithms_len, 0);
	policy_free(policy);
}

static void nonce_key_follows_the_secret(void **state)
{
	struct relay_plan plan;
	struct policy *one, *two;
	char why[512];

	(void)state;
	assert_ok(load("", &plan, &one, why));
	assert_ok(load("", &plan, &two, why));
	assert_memory_equal(one->nonce_key, two->nonce_key, sizeof(one->nonce_key));
	policy_free(one);
	policy_free(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_make_run), cmocka_unit_test(several_ports), cmocka_unit_test(interfaces_of_the_kernel),
		cmocka_unit_test(both_families), cmocka_unit_test(behind_a_nat_and_in_a_vlan), cmocka_unit_test(wrong_ones_are_explained), cmocka_unit_test(offered_algorithms),
		cmocka_unit_test(nonce_key_follows_the_secret),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
