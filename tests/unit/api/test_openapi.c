/* The contract and the route table say the same: every row, its body, its protection, and every code of an error. */
#include "api/openapi.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>

#include "api/route.h"
#include "tests/lib/cm.h"

#define BASE "/api/v1"

static json_t *document;

static int load(void **state)
{
	struct str text = openapi_document();

	(void)state;
	document = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
	return document != NULL ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	json_decref(document);
	return 0;
}

static json_t *operation_of(const struct route *r)
{
	char verb[16];
	size_t i = 0;

	for (const char *m = http_method_name(r->method); *m != '\0'; m++)
		verb[i++] = (char)tolower((unsigned char)*m);
	verb[i] = '\0';
	return json_object_get(json_object_get(json_object_get(document, "paths"), r->pattern + strlen(BASE)), verb);
}

static void every_route_is_in_the_contract(void **state)
{
	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *r = &route_table[i];

		if (r->access == ACCESS_INTERNAL)
			continue;
		json_t *op = operation_of(r);
		if (op == NULL)
			fail_msg("%s %s is not in api/openapi.json", http_method_name(r->method), r->pattern);
		assert_string_equal(json_string_value(json_object_get(op, "operationId")), r->name);
		assert_int_equal(json_object_get(op, "requestBody") != NULL, r->body_max > BODY_NONE);
		/* `security: []` takes the document's default, the session, away. */
		assert_int_equal(json_object_get(op, "security") == NULL, r->access == ACCESS_SESSION);
	}
}

static const struct route *route_named(const char *name)
{
	for (size_t i = 0; i < route_count; i++) {
		if (strcmp(route_table[i].name, name) == 0)
			return &route_table[i];
	}
	return NULL;
}

static void every_operation_has_its_route(void **state)
{
	const char *path, *verb;
	json_t *item, *op;

	(void)state;
	json_object_foreach (json_object_get(document, "paths"), path, item) {
		json_object_foreach (item, verb, op) {
			const struct route *r = route_named(json_string_value(json_object_get(op, "operationId")));

			if (r == NULL)
				fail_msg("%s %s has no route", verb, path);
			else
				assert_ptr_equal(operation_of(r), op);
		}
	}
}

static void the_permission_is_said(void **state)
{
	char want[64];

	(void)state;
	for (size_t i = 0; i < route_count; i++) {
		const struct route *r = &route_table[i];

		if (r->perm == PERM_COUNT)
			continue;
		(void)snprintf(want, sizeof(want), "`%s`", perm_name(r->perm));
		if (strcmp(r->name, "searchUsers") == 0 || strncmp(r->pattern, BASE "/admin", strlen(BASE "/admin")) == 0)
			assert_non_null(strstr(json_string_value(json_object_get(operation_of(r), "description")), want));
	}
}

static bool holds(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *one = json_string_value(json_array_get(list, i));

		if (one != NULL && strcmp(one, text) == 0)
			return true;
	}
	return false;
}

static json_t *schema_enum(const char *name)
{
	json_t *schemas = json_object_get(json_object_get(document, "components"), "schemas");

	return json_object_get(json_object_get(schemas, name), "enum");
}

static void every_error_code_is_listed(void **state)
{
	json_t *codes = schema_enum("ProblemCode");

	(void)state;
	for (size_t i = 0; i < PROBLEM_COUNT; i++) {
		if (!holds(codes, problem_code((enum problem)i)))
			fail_msg("%s is not in the contract", problem_code((enum problem)i));
	}
	assert_int_equal(json_array_size(codes), PROBLEM_COUNT);
}

static void every_permission_is_listed(void **state)
{
	json_t *names = schema_enum("Permission");

	(void)state;
	for (size_t i = 0; i < PERM_COUNT; i++)
		assert_true(holds(names, perm_name((enum perm)i)));
	assert_int_equal(json_array_size(names), PERM_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_is_in_the_contract), cmocka_unit_test(every_operation_has_its_route),
		cmocka_unit_test(the_permission_is_said),         cmocka_unit_test(every_error_code_is_listed),
		cmocka_unit_test(every_permission_is_listed),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
