/* SPDX-License-Identifier: MIT */
/* The JSON reader: what it takes, the writer prints and the reader takes again, the same. */
#include <assert.h>
#include <errno.h>
#include <lkvm/json.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static void print(struct buf *out, const struct json_value *v)
{
	struct json j = {.out = out};

	json_copy(&j, NULL, v);
	assert(!out->err);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct buf first = {0}, second = {0};
	struct json_value *v = NULL, *again = NULL;
	/* Of exactly that size, so that ASan sees a byte too many. */
	char *text = malloc(size ? size : 1);
	int err;

	memcpy(text, data, size);
	err = json_parse(text, size, &v);
	free(text);
	assert(!err || err == -EBADMSG);
	if (err)
		return 0;
	/* As the control socket looks at it. */
	json_get_str(v, "verb", "");
	json_get_num(v, "vcpu", 0);
	json_get_bool(v, "json", false);
	print(&first, v);
	assert(!json_parse((const char *)first.data, first.len, &again));
	print(&second, again);
	assert(first.len == second.len && !memcmp(first.data, second.data, first.len));
	buf_free(&first);
	buf_free(&second);
	json_free(again);
	json_free(v);
	return 0;
}
