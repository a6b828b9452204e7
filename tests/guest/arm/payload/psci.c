// SPDX-License-Identifier: MIT
/*
 * How a guest ends, by a word of the command line: "off", "reset", "reset2" (SYSTEM_RESET2, where there is
 * one: else exit code 40), or as it is ("hang": all vCPUs off).
 */
#include "guest.h"

void main(void)
{
	printf("= features_off 0x%lx\n= features_reset2 0x%lx\n",
	       (u64)psci(PSCI_FEATURES, PSCI_SYSTEM_OFF, 0, 0),
	       (u64)psci(PSCI_FEATURES, PSCI_SYSTEM_RESET2, 0, 0));
	printf("alive\n");
	if (has_word("off"))
		psci(PSCI_SYSTEM_OFF, 0, 0, 0);
	else if (has_word("reset"))
		psci(PSCI_SYSTEM_RESET, 0, 0, 0);
	else if (has_word("reset2") && psci(PSCI_FEATURES, PSCI_SYSTEM_RESET2, 0, 0) != PSCI_NOT_SUPPORTED)
		psci(PSCI_SYSTEM_RESET2, 0, 0, 0);
	else if (has_word("reset2"))
		exit_with(40);
	else if (has_word("hang"))
		psci(PSCI_CPU_OFF, 0, 0, 0);
	printf("not ok that call does not come back\n");
	exit_with(41);
}
