/* SPDX-License-Identifier: MIT */
/*
 * RTAS: how a call comes here and goes back, and the services of the machine as a whole.
 *
 * A guest calls RTAS with its argument buffer's address in r3, in 32-bit big-endian mode without translation
 * (PAPR 7.2). The instructions that rtas_load() leaves for it hand the address on by the hypercall 0xf000:
 * KVM answers the services whose tokens it was told, the others come out (hcall.c).
 *
 * The buffer (PAPR 7.2.8) is in big-endian words: token, count of arguments, count of results, then both. It
 * is read once; only the results are written.
 *
 * On the caller's vCPU thread, no lock held.
 */
#include "rtas.h"
#include "pseries-layout.h"
#include "pseries.h"
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BUFFER_WORDS 3
#define TABLE_TOKENS 0x100u /* tokens of one table; the first one is this too: 0 is no token */

/* query-cpu-stopped-state. */
enum { CPU_STOPPED = 0, CPU_IN_RTAS = 1, CPU_NOT_STOPPED = 2 };

/* ibm,get-system-parameter's status for those that are not there, and the parameters that are. */
#define PARAMETER_UNKNOWN (-3)
enum { PARAMETER_SPLPAR = 20 };

static const struct rtas_service *const rtas_tables[] = {rtas_base_services, rtas_epow_services,
							 rtas_pci_services, NULL};

/* ---- calls ------------------------------------------------------------------------------------------- */

static bool present(const struct rtas_service *s, const struct kvm *kvm)
{
	return !s->present || s->present(kvm);
}

static const struct rtas_service *service_of(const struct kvm *kvm, u32 token)
{
	u32 t = token / TABLE_TOKENS, row = token % TABLE_TOKENS;

	for (u32 i = 0; rtas_tables[i]; i++) {
		if (i + 1 != t)
			continue;
		for (u32 j = 0; rtas_tables[i][j].name; j++)
			if (j == row)
				return present(&rtas_tables[i][j], kvm) ? &rtas_tables[i][j] : NULL;
	}
	return NULL;
}

static void call_service(const struct rtas_service *s, struct rtas_call *call)
{
	if (call->nr_args < s->args_min || call->nr_args > s->args_max || call->nr_rets < s->rets_min ||
	    call->nr_rets > s->rets_max)
		rtas_status(call, RTAS_PARAMETER);
	else if (!s->fn)
		rtas_status(call, RTAS_HARDWARE);
	else
		s->fn(call);
}

long rtas_hcall(struct vcpu *vcpu, u64 args_gpa)
{
	struct rtas_call call = {.vcpu = vcpu};
	const struct rtas_service *s;
	u32 word[BUFFER_WORDS], token;
	u64 at, rets_gpa;

	if (guest_read(&vcpu->kvm->mem, args_gpa, word, sizeof(word)))
		return H_PARAMETER;
	token = be32toh(word[0]);
	call.nr_args = be32toh(word[1]);
	call.nr_rets = be32toh(word[2]);
	if (call.nr_args > RTAS_CELLS_MAX || call.nr_rets > RTAS_CELLS_MAX)
		return H_PARAMETER;
	at = args_gpa + sizeof(word);
	rets_gpa = at + call.nr_args * sizeof(u32);
	if (call.nr_args && guest_read(&vcpu->kvm->mem, at, call.arg, call.nr_args * sizeof(u32)))
		return H_PARAMETER;
	/* A call whose results have no place is not made at all. */
	if (call.nr_rets && !guest_ptr(&vcpu->kvm->mem, rets_gpa, call.nr_rets * sizeof(u32)))
		return H_PARAMETER;
	for (u32 i = 0; i < call.nr_args; i++)
		call.arg[i] = be32toh(call.arg[i]);
	s = service_of(vcpu->kvm, token);
	if (s) {
		call_service(s, &call);
	} else {
		log_debug(vcpu->kvm->log, "vcpu %u: RTAS token 0x%" PRIx32 " is not known", vcpu->index,
			  token);
		rtas_status(&call, RTAS_PARAMETER);
	}
	for (u32 i = 0; i < call.nr_rets; i++)
		call.ret[i] = htobe32(call.ret[i]);
	if (call.nr_rets && guest_write(&vcpu->kvm->mem, rets_gpa, call.ret, call.nr_rets * sizeof(u32)))
		return H_PARAMETER;
	return H_SUCCESS;
}

/* ---- the end of the VM ------------------------------------------------------------------------------- */

static void power_off(struct rtas_call *call)
{
	kvm_end(call->vcpu->kvm, VM_POWEROFF, 0);
}

static void system_reboot(struct rtas_call *call)
{
	kvm_end(call->vcpu->kvm, VM_RESET, 0);
}

/* The guest's kernel panicked. It goes on, as ibm,extended-os-term promises, to what it does after that. */
static void os_term(struct rtas_call *call)
{
	kvm_guest_panicked(call->vcpu->kvm);
}

/* ---- processors ---------------------------------------------------------------------------------------- */

static void query_cpu_stopped_state(struct rtas_call *call)
{
	const struct vcpu *vcpu = pseries_vcpu_by_id(call->vcpu->kvm, call->arg[0]);

	if (!vcpu) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	if (call->nr_rets > 1)
		call->ret[1] = pseries_power_of(vcpu) == POWER_STOPPED ? CPU_STOPPED : CPU_NOT_STOPPED;
}

static void start_cpu(struct rtas_call *call)
{
	struct vcpu *vcpu = pseries_vcpu_by_id(call->vcpu->kvm, call->arg[0]);

	if (!vcpu)
		rtas_status(call, RTAS_PARAMETER);
	else if (pseries_vcpu_start(vcpu, call->arg[1], call->arg[2]))
		rtas_status(call, RTAS_HARDWARE);
}

static void stop_self(struct rtas_call *call)
{
	pseries_vcpu_stop_self(call->vcpu);
}

/* ---- the clock ----------------------------------------------------------------------------------------- */

static void get_time_of_day(struct rtas_call *call)
{
	const struct pseries *p = pseries_of(call->vcpu->kvm);
	struct timespec now;
	struct tm tm;
	time_t t;

	clock_gettime(CLOCK_REALTIME, &now);
	t = now.tv_sec + (time_t)atomic_load(&p->clock_offset);
	if (!gmtime_r(&t, &tm)) {
		rtas_status(call, RTAS_HARDWARE);
		return;
	}
	call->ret[1] = (u32)tm.tm_year + 1900;
	call->ret[2] = (u32)tm.tm_mon + 1;
	call->ret[3] = (u32)tm.tm_mday;
	call->ret[4] = (u32)tm.tm_hour;
	call->ret[5] = (u32)tm.tm_min;
	call->ret[6] = (u32)tm.tm_sec;
	call->ret[7] = (u32)now.tv_nsec;
}

/* The guest's own clock; the host's stays what it is. */
static void set_time_of_day(struct rtas_call *call)
{
	struct pseries *p = pseries_of(call->vcpu->kvm);
	const u32 *a = call->arg;
	struct tm tm = {0};

	if (a[0] < 1970 || a[0] > 9999 || a[1] < 1 || a[1] > 12 || a[2] < 1 || a[2] > 31 || a[3] > 23 ||
	    a[4] > 59 || a[5] > 60) {
		rtas_status(call, RTAS_PARAMETER);
		return;
	}
	tm.tm_year = (int)a[0] - 1900;
	tm.tm_mon = (int)a[1] - 1;
	tm.tm_mday = (int)a[2];
	tm.tm_hour = (int)a[3];
	tm.tm_min = (int)a[4];
	tm.tm_sec = (int)a[5];
	atomic_store(&p->clock_offset, (s64)timegm(&tm) - (s64)time(NULL));
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

/* The panel of a large machine, where Linux says how far it is. We have none. */
static void display_character(struct rtas_call *call)
{
}

/* The answer: its length in two bytes, then itself (PAPR 7.3.16). The buffer may be shorter. */
static int system_parameter(struct kvm *kvm, u64 gpa, u32 room, const char *text)
{
	u8 answer[2 + 128];
	size_t len = strlen(text) + 1;

	answer[0] = (u8)(len >> 8);
	answer[1] = (u8)len;
	memcpy(answer + 2, text, len);
	return guest_write(&kvm->mem, gpa, answer, min_u64(room, len + 2)) ? RTAS_PARAMETER : RTAS_OK;
}

static void get_system_parameter(struct rtas_call *call)
{
	struct kvm *kvm = call->vcpu->kvm;
	char text[128];

	if (call->arg[0] != PARAMETER_SPLPAR) {
		rtas_status(call, PARAMETER_UNKNOWN);
		return;
	}
	snprintf(text, sizeof(text), "MaxEntCap=%u,DesMem=%" PRIu64 ",DesProcs=%u,MaxPlatProcs=%u",
		 kvm->nr_vcpus, guest_ram_size(&kvm->mem) >> 20, kvm->nr_vcpus, kvm->nr_vcpus);
	rtas_status(call, system_parameter(kvm, call->arg[1], call->arg[2], text));
}

/* ---- the kernel's own -------------------------------------------------------------------------------- */

/* Of the four that KVM knows; a native XIVE is driven by hypercalls instead. */
static bool has_xics(const struct kvm *kvm)
{
	return kvm->irqchip.ops && !strcmp(kvm->irqchip.ops->name, "xics");
}

const struct rtas_service rtas_base_services[] = {
	{"power-off", 2, 2, 1, 1, power_off, NULL},
	{"system-reboot", 0, 0, 1, 1, system_reboot, NULL},
	{"ibm,os-term", 1, 1, 1, 1, os_term, NULL},
	{"start-cpu", 3, 3, 1, 1, start_cpu, NULL},
	{"stop-self", 0, 0, 1, 1, stop_self, NULL},
	{"query-cpu-stopped-state", 1, 1, 2, 2, query_cpu_stopped_state, NULL},
	{"get-time-of-day", 0, 0, 8, 8, get_time_of_day, NULL},
	{"set-time-of-day", 7, 7, 1, 1, set_time_of_day, NULL},
	{"display-character", 1, 1, 1, 1, display_character, NULL},
	{"ibm,get-system-parameter", 3, 3, 1, 1, get_system_parameter, NULL},
	{"ibm,set-xive", 3, 3, 1, 1, NULL, has_xics},
	{"ibm,get-xive", 1, 1, 3, 3, NULL, has_xics},
	{"ibm,int-off", 1, 1, 1, 1, NULL, has_xics},
	{"ibm,int-on", 1, 1, 1, 1, NULL, has_xics},
	{NULL, 0, 0, 0, 0, NULL, NULL},
};

int rtas_define_tokens(struct kvm *kvm)
{
	for (u32 i = 0; rtas_tables[i]; i++) {
		for (u32 j = 0; rtas_tables[i][j].name; j++) {
			const struct rtas_service *s = &rtas_tables[i][j];
			struct kvm_rtas_token_args args = {.token = (i + 1) * TABLE_TOKENS + j};
			int err;

			if (s->fn || !present(s, kvm))
				continue;
			snprintf(args.name, sizeof(args.name), "%s", s->name);
			err = kvm_ioctl(kvm->vm_fd, KVM_PPC_RTAS_DEFINE_TOKEN, &args);
			if (err < 0) {
				log_error("KVM_PPC_RTAS_DEFINE_TOKEN of %s: %s", s->name, strerror(-err));
				return err;
			}
		}
	}
	return 0;
}

/* ---- in the guest ------------------------------------------------------------------------------------ */

int rtas_load(struct kvm *kvm, u64 gpa)
{
	static const u32 code[] = {
		0x7c641b78, /* mr r4, r3 */
		0x3c600000, /* lis r3, 0 */
		0x6063f000, /* ori r3, r3, 0xf000 */
		0x44000022, /* sc 1 */
		0x4e800020, /* blr */
	};
	u32 be[ARRAY_SIZE(code)];

	for (u32 i = 0; i < ARRAY_SIZE(code); i++)
		be[i] = htobe32(code[i]);
	pseries_of(kvm)->rtas = gpa;
	return guest_write(&kvm->mem, gpa, be, sizeof(be));
}

/* What hypercalls there are, in PAPR's words for groups of them. */
static void describe_hypercalls(const struct kvm *kvm, struct fdt *fdt)
{
	static const char *const common[] = {"hcall-term",	"hcall-interrupt", "hcall-splpar",
					     "hcall-set-mode",	"hcall-vio",	   "hcall-copy",
					     "hcall-debug",	"hcall-random",	   "hcall-tce",
					     "hcall-multi-tce", "hcall-pft",	   "hcall-bulk"};
	/* The last two are of the hash table. */
	size_t n = ARRAY_SIZE(common) - (pseries_of(kvm)->radix ? 2 : 0);

	dt_strs(fdt, "ibm,hypertas-functions", common, n);
}

void rtas_describe(const struct kvm *kvm, struct fdt *fdt)
{
	u32 base = (u32)pseries_of(kvm)->rtas;

	dt_begin_node(fdt, "rtas");
	dt_u32(fdt, "rtas-version", 1);
	dt_u32(fdt, "rtas-size", RTAS_SIZE);
	dt_u32(fdt, "linux,rtas-base", base);
	dt_u32(fdt, "linux,rtas-entry", base);
	dt_empty(fdt, "ibm,extended-os-term");
	dt_u32(fdt, "rtas-display-device", 0);
	dt_u32(fdt, "rtas-error-log-max", RTAS_ERROR_LOG_MAX);
	describe_hypercalls(kvm, fdt);
	for (u32 i = 0; rtas_tables[i]; i++)
		for (u32 j = 0; rtas_tables[i][j].name; j++)
			if (present(&rtas_tables[i][j], kvm))
				dt_u32(fdt, rtas_tables[i][j].name, (i + 1) * TABLE_TOKENS + j);
	dt_end(fdt);
}
