/* SPDX-License-Identifier: MIT */
/*
 * From words to a struct vm_config: the option table of `run`, the machine's and the devices' own options
 * joined to it, the run file, and the checks. Called by builtin-run.c on the main thread, before any VM
 * exists; tests and the fuzzer call config_apply_text() with tables of their own.
 *
 * Order: the run file first, then the command line, so that what is given on the command line wins; options
 * that may be repeated add up, the file's first. Each failure is one line and -EINVAL.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <lkvm/config.h>
#include <lkvm/cpulist.h>
#include <lkvm/machine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define CPUS_MAX	 4096 /* the most that any KVM takes; what this host's takes is the core's to ask */
#define TIMEOUT_MAX	 1000000000
#define MEM_DEFAULT	 MiB(256)
#define MEM_MAX		 ((u64)4096 << 40) /* 52 bits, the most that a guest physical address has */
#define NAME_MAX_LEN	 48
#define RUN_FILE_MAX	 MiB(1)
#define MACHINES_MAX	 4
#define DEVICE_TABLE_MAX 64

/* --- options with a parser of their own ------------------------------------------------------------ */

/* --config and --help are looked for before anything is applied. */
static int parse_nothing(void *target, const struct cli_option *opt, const char *arg)
{
	return 0;
}

static int parse_console(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;

	if (strcmp(arg, "serial")) {
		log_error("--console %s: no such console: give serial", arg);
		return -EINVAL;
	}
	cfg->console = arg;
	return 0;
}

static int parse_tty(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;
	u64 n;

	if (parse_u64(arg, &n) || n >= CONSOLE_MAX) {
		log_error("--tty %s: no such console: give 0 to %d", arg, CONSOLE_MAX - 1);
		return -EINVAL;
	}
	cfg->tty[n] = true;
	return 0;
}

static int parse_affinity(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;
	cpu_set_t set;

	if (cpulist_parse(arg, &set)) {
		log_error("--vcpu-affinity %s: not a list of CPUs: give 0-3,6 or the like", arg);
		return -EINVAL;
	}
	cfg->vcpu_affinity = arg;
	return 0;
}

static int parse_loglevel(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;

	if (log_level_parse(arg, &cfg->log.level)) {
		log_error("--loglevel %s: give error, warning, info or debug", arg);
		return -EINVAL;
	}
	return 0;
}

static int parse_name(void *target, const struct cli_option *opt, const char *arg)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	struct vm_config *cfg = target;
	size_t len = strlen(arg);

	if (!len || len > NAME_MAX_LEN || arg[0] == '.' || strspn(arg, allowed) != len) {
		log_error("--name \"%s\": no name for a VM: give 1 to %d letters, digits, '.', '_' or '-', "
			  "the first one not '.'",
			  arg, NAME_MAX_LEN);
		return -EINVAL;
	}
	cfg->name = arg;
	return 0;
}

static const char *const boot_words[] = {[BOOT_AUTO] = "auto",
					 [BOOT_BZIMAGE] = "bzimage",
					 [BOOT_ELF64] = "elf64",
					 [BOOT_PVH] = "pvh",
					 [BOOT_MULTIBOOT] = "multiboot",
					 [BOOT_FLAT] = "flat",
					 NULL};
static const char *const on_reboot_words[] = {
	[ON_REBOOT_EXIT] = "exit", [ON_REBOOT_RESTART] = "restart", NULL};

static const char *const virtio_transport_words[] = {[VIRTIO_TRANSPORT_AUTO] = "auto",
						     [VIRTIO_TRANSPORT_PCI] = "pci",
						     [VIRTIO_TRANSPORT_MMIO] = "mmio",
						     NULL};
static const char *const virtio_ring_words[] = {
	[VIRTIO_RING_PACKED] = "packed", [VIRTIO_RING_SPLIT] = "split", NULL};

#define FIELD(f) .offset = offsetof(struct vm_config, f)

const struct cli_option run_options[] = {
	{.kind = OPT_GROUP, .help = "Guest"},
	{"kernel", 'k', OPT_STRING, 0, "FILE", "kernel: bzImage, ELF, multiboot or flat, also gzipped",
	 FIELD(kernel)},
	{"initrd", 'i', OPT_LIST, 0, "FILE", "initial RAM disk; several are joined in order", FIELD(initrd)},
	{"params", 'p', OPT_LIST, 0, "TEXT", "add to the kernel command line", FIELD(params)},
	{"boot", 0, OPT_CALL, 0, "HOW", "auto, bzimage, elf64, pvh, multiboot or flat", FIELD(boot),
	 .parse = option_choice, .data = boot_words},
	{.kind = OPT_GROUP, .help = "Machine"},
	{"cpus", 'c', OPT_INT, 0, "N", "virtual CPUs (1)", FIELD(cpus), .min = 1, .max = CPUS_MAX},
	{"mem", 'm', OPT_SIZE, 0, "SIZE", "memory in MiB, or with K, M, G or T (256)", FIELD(mem_size),
	 .min = MiB(1), .max = MEM_MAX},
	{"hugetlbfs", 0, OPT_STRING, 0, "DIR", "take guest memory from the hugetlbfs mounted there",
	 FIELD(hugetlbfs)},
	{"shared-mem", 0, OPT_FLAG, 0, NULL, "take guest memory from a memfd that others may map",
	 FIELD(shared_mem)},
	{"nodefaults", 0, OPT_FLAG, 0, NULL, "leave out what was not asked for: kernel parameters of ours",
	 FIELD(nodefaults)},
	{"vcpu-affinity", 0, OPT_CALL, 0, "LIST", "keep vCPU threads on these host CPUs: 0-3,6", 0,
	 .parse = parse_affinity},
	{"virtio-transport", 0, OPT_CALL, 0, "KIND", "how virtio devices are attached: auto, pci or mmio",
	 FIELD(virtio_transport), .parse = option_choice, .data = virtio_transport_words},
	{"virtio-ring", 0, OPT_CALL, 0, "KIND", "virtio rings at best: packed or split", FIELD(virtio_ring),
	 .parse = option_choice, .data = virtio_ring_words},
	{.kind = OPT_GROUP, .help = "Console"},
	{"console", 0, OPT_CALL, 0, "KIND", "console of the guest: serial", 0, .parse = parse_console},
	{"tty", 0, OPT_CALL, OPT_REPEAT, "N", "put console N (0 to 3) on a new pseudo-terminal", 0,
	 .parse = parse_tty},
	{.kind = OPT_GROUP, .help = "Running"},
	{"name", 0, OPT_CALL, 0, "NAME", "name of the VM for the other verbs (lkvm-PID)", 0,
	 .parse = parse_name},
	{"config", 0, OPT_CALL, 0, "FILE", "read options from FILE: one a line, without dashes", 0,
	 .parse = parse_nothing},
	{"dev", 0, OPT_STRING, 0, "FILE", "KVM device node (/dev/kvm)", FIELD(dev)},
	{"timeout", 0, OPT_INT, 0, "SECONDS", "end the VM after that time, with status 124", FIELD(timeout),
	 .min = 1, .max = TIMEOUT_MAX},
	{"on-reboot", 0, OPT_CALL, 0, "HOW", "when the guest resets: exit (status 32) or restart",
	 FIELD(on_reboot), .parse = option_choice, .data = on_reboot_words},
	{"dry-run", 0, OPT_FLAG, 0, NULL, "print the machine and start nothing", FIELD(dry_run)},
	{"loglevel", 0, OPT_CALL, 0, "LEVEL", "error, warning, info or debug (info)", 0,
	 .parse = parse_loglevel},
	{"help", 'h', OPT_CALL, OPT_NOARG | OPT_REPEAT, NULL, "print this", 0, .parse = parse_nothing},
	{.kind = OPT_GROUP, .help = "Debugging"},
	{"debug-ioport", 0, OPT_FLAG, 0, NULL, "report accesses to ports that no device claims",
	 FIELD(debug_ioport)},
	{"debug-mmio", 0, OPT_FLAG, 0, NULL, "report accesses to addresses that nothing claims",
	 FIELD(debug_mmio)},
	{"debug-single-step", 0, OPT_FLAG, 0, NULL, "stop after each instruction and print the registers",
	 FIELD(debug_single_step)},
	{.kind = OPT_END},
};

/* --- devices' own options --------------------------------------------------------------------------- */

static void request_free(struct device_request *req)
{
	free(req->params);
	req->params = NULL;
}

static void requests_drop(struct vm_config *cfg, const struct device_ops *ops)
{
	size_t kept = 0;

	for (size_t i = 0; i < cfg->nr_requests; i++) {
		if (cfg->request[i].ops == ops)
			request_free(&cfg->request[i]);
		else
			cfg->request[kept++] = cfg->request[i];
	}
	cfg->nr_requests = kept;
}

static int parse_device(void *target, const struct cli_option *opt, const char *arg)
{
	struct vm_config *cfg = target;
	struct device_request req = {.ops = opt->data}, *all;
	int err = 0;

	if (req.ops->parse) {
		err = req.ops->parse(arg, &req.params);
	} else if (arg) {
		req.params = strdup(arg);
		err = req.params ? 0 : -ENOMEM;
	}
	if (err == -ECANCELED) {
		requests_drop(cfg, req.ops);
		return 0;
	}
	if (err) {
		request_free(&req);
		return err;
	}
	if (!strcmp(opt->name, "testdev"))
		cfg->testdev = true;
	if (!strcmp(opt->name, "boot-timer"))
		cfg->boot_timer = true;

	/* A single device of the run file's gives way to that of the command line. */
	for (size_t i = 0; i < cfg->nr_requests && !(opt->flags & OPT_REPEAT); i++) {
		if (cfg->request[i].ops == req.ops) {
			request_free(&cfg->request[i]);
			cfg->request[i] = req;
			return 0;
		}
	}
	all = realloc(cfg->request, (cfg->nr_requests + 1) * sizeof(*all));
	if (!all) {
		request_free(&req);
		return -ENOMEM;
	}
	cfg->request = all;
	all[cfg->nr_requests++] = req;
	return 0;
}

/* Every table that `run` knows: ours, the machines', and one made from the devices' options. */
struct run_tables {
	const struct cli_option *all[MACHINES_MAX + 3];
	struct cli_option device[DEVICE_TABLE_MAX + 2];
};

static void run_tables_init(struct run_tables *t)
{
	size_t n = 0, d = 0;

	t->all[n++] = run_options;
	for (size_t m = 0; machines[m] && m < MACHINES_MAX; m++) {
		bool known = !machines[m]->options;

		for (size_t i = 0; i < n; i++)
			known = known || t->all[i] == machines[m]->options;
		if (!known)
			t->all[n++] = machines[m]->options;
	}
	t->device[d++] = (struct cli_option){.kind = OPT_GROUP, .help = "Devices"};
	for (size_t i = 0; device_table[i] && d <= DEVICE_TABLE_MAX; i++) {
		struct cli_option opt = device_table[i]->option;

		if (!opt.name)
			continue;
		opt.flags = (u8)((opt.kind == OPT_FLAG ? OPT_NOARG : 0) |
				 (opt.kind == OPT_LIST || (opt.flags & OPT_REPEAT) ? OPT_REPEAT : 0));
		opt.kind = OPT_CALL;
		opt.parse = parse_device;
		opt.data = device_table[i];
		t->device[d++] = opt;
	}
	t->device[d] = (struct cli_option){.kind = OPT_END};
	if (d > 1)
		t->all[n++] = t->device;
	t->all[n] = NULL;
}

/* --- the run file -------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the comment and the blanks at both ends off. A '#' is a comment at the start or behind a blank. */
static char *line_trim(char *line)
{
	char *end;

	while (is_blank(*line))
		line++;
	for (end = line; *end; end++) {
		if (*end == '#' && (end == line || is_blank(end[-1])))
			break;
	}
	while (end > line && is_blank(end[-1]))
		end--;
	*end = 0;
	return line;
}

int config_apply_text(struct option_parser *p, const char *file, char *text)
{
	char where[192];
	u32 number = 0;

	for (char *line = text, *next; line; line = next) {
		char *name, *arg;
		int err;

		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		number++;
		snprintf(where, sizeof(where), "%s:%u", file, number);

		name = line_trim(line);
		if (!*name)
			continue;
		arg = name + strcspn(name, " \t\r=");
		if (*arg) {
			bool equals = *arg == '=';

			*arg++ = 0;
			while (is_blank(*arg) || (!equals && *arg == '=')) {
				equals = equals || *arg == '=';
				arg++;
			}
		} else {
			arg = NULL;
		}
		if (!strcmp(name, "config") || !strcmp(name, "help")) {
			log_error("%s: %s belongs on the command line only: leave it out", where, name);
			return -EINVAL;
		}
		err = options_apply(p, where, name, arg);
		if (err)
			return err;
	}
	return 0;
}

static int run_file_read(const char *path, char **out)
{
	size_t len = 0;
	char *text = NULL;
	struct stat st;
	int err = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0) {
		log_error("--config %s: %s", path, strerror(errno));
		err = -EINVAL;
		goto out;
	}
	if (S_ISDIR(st.st_mode)) {
		log_error("--config %s: is a directory: give a file", path);
		err = -EINVAL;
		goto out;
	}
	text = malloc(RUN_FILE_MAX + 1);
	if (!text) {
		err = -ENOMEM;
		goto out;
	}
	for (;;) {
		ssize_t n = read(fd, text + len, RUN_FILE_MAX + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			log_error("--config %s: %s", path, strerror(errno));
			err = -EINVAL;
			goto out;
		}
		if (!n)
			break;
		len += (size_t)n;
		if (len > RUN_FILE_MAX) {
			log_error("--config %s: longer than 1 MiB: that is no run file", path);
			err = -EINVAL;
			goto out;
		}
	}
	text[len] = 0;
	if (strlen(text) != len) {
		log_error("--config %s: has zero bytes in it: that is no run file", path);
		err = -EINVAL;
	}
out:
	if (fd >= 0)
		close(fd);
	if (err)
		free(text);
	else
		*out = text;
	return err;
}

/* --- defaults and checks ------------------------------------------------------------------------- */

static u64 host_memory(bool with_swap)
{
	struct sysinfo si;

	if (sysinfo(&si) < 0)
		return ~0ull;
	return ((u64)si.totalram + (with_swap ? si.totalswap : 0)) * si.mem_unit;
}

/* vm.overcommit_memory is 1: whoever runs this host wants no promise refused (memory is not touched until
 * used). */
static bool host_overcommits(void)
{
	char mode = 0;
	int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &mode, 1) != 1)
		mode = 0;
	close(fd);
	return mode == '1';
}

static int check_memory(struct vm_config *cfg)
{
	u64 page = (u64)sysconf(_SC_PAGESIZE), host = host_memory(true);
	char have[SIZE_TEXT_ROOM], want[SIZE_TEXT_ROOM];

	if (!cfg->mem_size) {
		u64 half = align_down(host_memory(false) / 2, MiB(1));

		cfg->mem_size = max_u64(MiB(1), min_u64(MEM_DEFAULT, half));
		return 0;
	}
	if (cfg->mem_size % page) {
		log_error("run: --mem %s: not a multiple of the host's page of %s: give %s",
			  size_text(have, cfg->mem_size), size_text(want, page),
			  size_text((char[SIZE_TEXT_ROOM]){0}, align_up(cfg->mem_size, page)));
		return -EINVAL;
	}
	if (cfg->mem_size > host && !cfg->hugetlbfs && !host_overcommits()) {
		log_error("run: --mem %s: more than this host has, %s with swap: give less, or set "
			  "vm.overcommit_memory to 1",
			  size_text(want, cfg->mem_size), size_text(have, align_down(host, MiB(1))));
		return -EINVAL;
	}
	return 0;
}

static bool kernel_readable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, R_OK);
}

/* What package managers leave beside kernels, and what a person put away. */
static bool kernel_is_backup(const char *path)
{
	static const char *const suffix[] = {".old", ".bak", ".orig", ".sig", ".dpkg-new", ".dpkg-tmp", "~"};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_SIZE(suffix); i++)
		if (len > strlen(suffix[i]) && !strcmp(path + len - strlen(suffix[i]), suffix[i]))
			return true;
	return false;
}

/* The readable file of the highest version that the pattern matches: into cfg->kernel_buf. */
static bool kernel_newest(struct vm_config *cfg, const char *pattern)
{
	bool found = false;
	glob_t g;

	if (glob(pattern, GLOB_NOSORT, NULL, &g))
		return false;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		const char *path = g.gl_pathv[i];

		if (strlen(path) >= sizeof(cfg->kernel_buf) || kernel_is_backup(path) ||
		    (found && strverscmp(path, cfg->kernel_buf) <= 0) || !kernel_readable(path))
			continue;
		snprintf(cfg->kernel_buf, sizeof(cfg->kernel_buf), "%s", path);
		found = true;
	}
	globfree(&g);
	return found;
}

/* One entry of machine->kernel_paths: a file, or a pattern whose newest match counts. */
static bool kernel_take(struct vm_config *cfg, const char *path)
{
	bool pattern = strchr(path, '*');

	if (pattern ? !kernel_newest(cfg, path) : !kernel_readable(path))
		return false;
	cfg->kernel = pattern ? cfg->kernel_buf : path;
	cfg->kernel_found = true;
	log_info(&cfg->log, "no kernel was named: taking %s", cfg->kernel);
	return true;
}

static int find_kernel(struct vm_config *cfg)
{
	static const char host_kernel[] = "/boot/vmlinuz*"; /* after whatever the machine names */
	char looked[256] = "";

	for (const char *const *path = machines[0]->kernel_paths; path && *path; path++) {
		size_t len = strlen(looked);

		if (kernel_take(cfg, *path))
			return 0;
		snprintf(looked + len, sizeof(looked) - len, "%s, ", *path);
	}
	if (kernel_take(cfg, host_kernel))
		return 0;
	log_error("run: no kernel: none named by -k, and none to be read at %s%s", looked, host_kernel);
	return -EINVAL;
}

static int config_finish(struct vm_config *cfg)
{
	int err = check_memory(cfg);

	if (err)
		return err;
	if (cfg->hugetlbfs && cfg->shared_mem) {
		log_error("run: --hugetlbfs and --shared-mem exclude each other: leave one of them out");
		return -EINVAL;
	}
	if (!cfg->name) {
		snprintf(cfg->name_buf, sizeof(cfg->name_buf), "lkvm-%d", (int)getpid());
		cfg->name = cfg->name_buf;
	}
	if (cfg->firmware && cfg->kernel) {
		log_error("run: --firmware %s starts in the kernel's place: leave -k %s out", cfg->firmware,
			  cfg->kernel);
		return -EINVAL;
	}
	return cfg->kernel || cfg->firmware ? 0 : find_kernel(cfg);
}

static bool was_seen(const struct option_parser *p, const char *name)
{
	for (size_t i = 0; i < p->nr_seen; i++)
		if (!strcmp(p->seen[i], name))
			return true;
	return false;
}

/* Options, and the one word between them that may be the kernel. */
static int parse_words(struct option_parser *p, int argc, char **argv)
{
	struct vm_config *cfg = p->target;
	const char *word = NULL;
	bool only_words = false;

	for (int i = 0; i < argc; i++) {
		int rest, err;

		if (!only_words) {
			err = options_parse(p, argc - i, argv + i, &rest);
			if (err)
				return err;
			i += rest;
			only_words = rest && !strcmp(argv[i - 1], "--");
			if (i >= argc)
				break;
		}
		if (word) {
			log_error("run: \"%s\": one kernel only, and \"%s\" is it: options begin with a dash",
				  argv[i], word);
			return -EINVAL;
		}
		word = argv[i];
	}
	if (!word)
		return 0;
	if (was_seen(p, "kernel")) {
		log_error("run: \"%s\": the kernel is named already by --kernel %s: leave one out", word,
			  cfg->kernel);
		return -EINVAL;
	}
	if (!*word) {
		log_error("run: an empty word where a kernel's file name belongs: leave it out");
		return -EINVAL;
	}
	cfg->kernel = word;
	return 0;
}

/* Kernel or firmware: what the command line has wins over what the run file has. */
static void last_start_wins(struct vm_config *cfg, const struct option_parser *line,
			    const struct option_parser *file)
{
	if (!cfg->firmware || !cfg->kernel)
		return;
	if (was_seen(file, "kernel") && !was_seen(file, "firmware") && !was_seen(line, "kernel"))
		cfg->kernel = NULL;
	else if (was_seen(file, "firmware") && !was_seen(file, "kernel") && !was_seen(line, "firmware"))
		cfg->firmware = NULL;
}

int config_parse(struct vm_config *cfg, int argc, char **argv, bool *help)
{
	struct run_tables tables;
	struct option_parser p = {.verb = "run", .tables = tables.all, .target = cfg};
	struct option_parser in_file = p;
	const char *file;
	int err = 0;

	memset(cfg, 0, sizeof(*cfg));
	cfg->cpus = 1;
	cfg->console = "serial";
	cfg->dev = "/dev/kvm";
	cfg->irqchip = "auto";
	cfg->log.level = LOG_INFO;
	run_tables_init(&tables);

	*help = argc > 1 && options_find(&p, argc - 1, argv + 1, "help");
	if (*help)
		return 0;
	file = argc > 1 ? options_find(&p, argc - 1, argv + 1, "config") : NULL;
	if (file) {
		err = run_file_read(file, &cfg->file_text);
		if (!err)
			err = config_apply_text(&in_file, file, cfg->file_text);
	}
	if (!err && argc > 1)
		err = parse_words(&p, argc - 1, argv + 1);
	if (!err)
		last_start_wins(cfg, &p, &in_file);
	if (!err)
		err = config_finish(cfg);
	options_done(&in_file);
	options_done(&p);
	return err;
}

void config_help(int fd)
{
	struct run_tables tables;
	struct option_parser p = {.verb = "run", .tables = tables.all};

	run_tables_init(&tables);
	dprintf(fd, "Usage: lkvm run [OPTION]... [KERNEL]\n"
		    "Runs one VM until it ends. Its first console is this terminal; Ctrl-a x ends it.\n");
	options_help(&p, fd);
}

void config_free(struct vm_config *cfg)
{
	for (size_t i = 0; i < cfg->nr_requests; i++)
		request_free(&cfg->request[i]);
	free(cfg->request);
	str_list_free(&cfg->initrd);
	str_list_free(&cfg->params);
	free(cfg->file_text);
	memset(cfg, 0, sizeof(*cfg));
}
