# SPDX-License-Identifier: MIT
# Figures of lkvm beside the floor's, for `make bench` (tests/bench/run); no test
# lab: arch=arm64 named bound=1200
rounds=${BENCH_ROUNDS:-31}
img() { echo "/bin/lkvm run --nodefaults -m 256 -k /payload/$1.img"; }

# figure NAME COMMAND...: what measure prints, on one line
figure() {
	name=$1
	shift
	must "$name is measured" "$@"
	diag "figure $name $(tr '\n' ' ' <check.log)"
}
# shellcheck disable=SC2046
figure first /payload/measure first "$rounds" $(img first) --boot-timer -- /payload/floor /payload/first.img
# shellcheck disable=SC2046
figure mmio /payload/measure life $((rounds / 3)) $(img none) --testdev -- $(img mmio) --testdev -- \
	/payload/floor /payload/none.img -- /payload/floor /payload/mmio.img
# shellcheck disable=SC2046
figure life /payload/measure life "$rounds" $(img none) -- /payload/floor /payload/none.img

# Private memory: all mappings but guest RAM, while a guest of 128 MiB spins.
vm_start spin --nodefaults -m 128 -k /payload/spin.img
must "the guest spins" hears '^\.' 60
diag "figure private $(awk -v kib="$(private_kib 131072)" 'BEGIN { printf "%.2f", kib / 1024 }')"
kill -TERM "$vm_pid"
ends 143 60
