/* relay/doctor: each check over a machine made of files. */
#include "relay/doctor.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/cm.h"

static char root[64];
static struct relay_conf conf;
static struct relay_plan plan;

static void write_file(const char *path, const char *text)
{
	char name[256];

	(void)snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
		*slash = '\0';
		(void)mkdir(name, 0755);
	}
	FILE *f = fopen(name, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int set_up(UNUSED void **state)
{
	(void)snprintf(root, sizeof(root), "/tmp/duplex-doctor-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	conf = (struct relay_conf){ .port_min = 49152, .port_max = 65535, .memory_mb = 128, .cores = 1, .redis = (char *)(uintptr_t) "" };
	plan = (struct relay_plan){ .ports = 1 };
	(void)snprintf(plan.port[0].device, sizeof(plan.port[0].device), "net_tap0,iface=dpx0");
	(void)snprintf(plan.port[0].tap, sizeof(plan.port[0].tap), "dpx0");
	return 0;
}

static int remove_one(const char *path, UNUSED const struct stat *st, UNUSED int type, UNUSED struct FTW *ftw)
{
	return remove(path);
}

static int tear_down(UNUSED void **state)
{
	return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void expect(const char *check, enum doctor_verdict wanted, const char *text)
{
	struct doctor d = { .conf = &conf, .plan = &plan, .root = root };

	for (size_t i = 0; i < doctor_checks_count; i++) {
		if (strcmp(doctor_checks[i].name, check) != 0)
			continue;
		struct buf out = buf_growing(4096);
		enum doctor_verdict v = doctor_checks[i].look(&d, &out);

		buf_char(&out, '\0');
		assert_non_null(strstr(out.p, text));
		assert_int_equal(v, wanted);
		buf_fini(&out);
		return;
	}
	fail_msg("there is no check %s", check);
}

static void address(const char *text, const char *gateway)
{
	struct local *l = &plan.port[0].ip[0];

	assert_ok(addr_parse_interface(str_from(text), &l->addr, &l->subnet));
	l->gateway = (struct addr){ 0 };
	if (gateway != NULL) {
		struct cidr net;

		assert_ok(addr_parse_interface(str_from(gateway), &l->gateway, &net));
	}
}

static void addresses(UNUSED void **state)
{
	address("10.83.84.2/24", "10.83.84.1");
	expect("address", DOCTOR_THINK, "10.83.84.2 is private");
	address("8.8.4.4/24", "8.8.4.1");
	expect("address", DOCTOR_FINE, "8.8.4.4 is public");
	address("8.8.4.4/24", NULL);
	expect("address", DOCTOR_FINE, "without a gateway");
}

static void ports(UNUSED void **state)
{
	expect("ports", DOCTOR_THINK, "does not say");
	write_file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
	expect("ports", DOCTOR_THINK, "overlap");
	conf.port_min = 61000;
	expect("ports", DOCTOR_FINE, "apart");
}

static void huge_pages(UNUSED void **state)
{
	expect("huge-pages", DOCTOR_FINE, "not used");
	plan.port[0].is_pci = true;
	expect("huge-pages", DOCTOR_WRONG, "0 reserved, about 64 of 2 MB needed"); /* by the NIC */
	plan.port[0].is_pci = false;
	conf.huge_pages = true;
	write_file("/proc/sys/vm/nr_hugepages", "0\n");
	expect("huge-pages", DOCTOR_WRONG, "0 reserved");
	write_file("/proc/sys/vm/nr_hugepages", "10\n");
	expect("huge-pages", DOCTOR_THINK, "10 reserved, about 64");
	write_file("/proc/sys/vm/nr_hugepages", "64\n");
	expect("huge-pages", DOCTOR_FINE, "64 reserved");
}

static void memory_nodes(UNUSED void **state)
{
	expect("numa", DOCTOR_FINE, "not pinned");
	(void)snprintf(plan.port[0].device, sizeof(plan.port[0].device), "0000:01:00.0");
	plan.port[0].is_pci = true;
	plan.pinned = true;
	plan.cpu[0] = 3;
	write_file("/sys/bus/pci/devices/0000:01:00.0/numa_node", "1\n");
	write_file("/sys/devices/system/cpu/cpu3/node0/x", "");
	expect("numa", DOCTOR_THINK, "CPU 3 is on node 0, 0000:01:00.0 on node 1");
	write_file("/sys/bus/pci/devices/0000:01:00.0/numa_node", "0\n");
	expect("numa", DOCTOR_FINE, "the same memory node");
}

static void devices(UNUSED void **state)
{
	plan.port[0].tap[0] = '\0';
	(void)snprintf(plan.port[0].kernel_if, sizeof(plan.port[0].kernel_if), "eth7");
	expect("devices", DOCTOR_WRONG, "eth7, which is not there");
	write_file("/sys/class/net/eth7", "");
	expect("devices", DOCTOR_FINE, "is there");
}

static void queues(UNUSED void **state)
{
	conf.cores = 3;
	expect("queues", DOCTOR_FINE, "no interface");
	(void)snprintf(plan.port[0].kernel_if, sizeof(plan.port[0].kernel_if), "eth7");
	plan.port[0].xdp = true;
	expect("queues", DOCTOR_FINE, "no interface");
	write_file("/sys/class/net/eth7/queues/rx-0", "");
	write_file("/sys/class/net/eth7/queues/rx-1", "");
	expect("queues", DOCTOR_THINK, "eth7 has 2 receive queues for 3 cores: 1 of them");
	conf.cores = 2;
	expect("queues", DOCTOR_FINE, "no interface");
}

static void cpus(UNUSED void **state)
{
	expect("cpus", DOCTOR_FINE, "1 workers");
	plan.pinned = true;
	plan.cpu[0] = 60000;
	expect("cpus", DOCTOR_WRONG, "names CPU 60000");
}

static void redis(UNUSED void **state)
{
	expect("redis", DOCTOR_THINK, "none configured");
	conf.redis = (char *)(uintptr_t) "/does/not/exist";
	expect("redis", DOCTOR_WRONG, "does not answer");
}

static void a_line_for_each_check(UNUSED void **state)
{
	struct doctor d = { .conf = &conf, .plan = &plan, .root = root };
	char *text = NULL;
	size_t size = 0, lines = 0;
	FILE *f = open_memstream(&text, &size);

	conf.turn_port = 3478;
	conf.redis = (char *)(uintptr_t) "/does/not/exist";
	unsigned wrong = doctor_run(&d, f);
	assert_int_equal(fclose(f), 0);
	for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	assert_int_equal(lines, doctor_checks_count);
	assert_non_null(strstr(text, "WRONG  redis"));
	assert_true(wrong >= 1);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(addresses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(huge_pages, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_nodes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(devices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queues, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cpus, set_up, tear_down),
		cmocka_unit_test_setup_teardown(redis, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_line_for_each_check, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
