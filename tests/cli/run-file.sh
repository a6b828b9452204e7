#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The run file (--config), as far as it goes without a VM: what is wrong with one, and that the command line
# wins. A device node that is not there (status 1) tells which was taken, and that all else was accepted.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

no_dev="--dev $tmp/no-such-dev"

# accepted TEXT ARGUMENT...: the options are right, and then there is no KVM
accepted() {
	text=$1
	shift
	lkvm run "$@"
	ok "$text" eval "[ $status = 1 ] && grep -q no-such-dev '$err' && [ \$(wc -l <'$err') = 1 ]"
}

cat >vm <<END
# a VM
kernel = some-kernel
  mem=64M     # a comment
cpus	2
params console=ttyS0
params quiet

name web
dry-run
dev = $tmp/no-such-dev
END
accepted "a file of every form" --config vm
accepted "the same, --config=FILE" --config=vm
printf 'kernel k\r\nmem 64\r\ndev %s' "$tmp/no-such-dev" >crlf
accepted "lines that end in CR LF, the last one not at all" --config crlf

echo "dev $tmp/other-dev" >other
# shellcheck disable=SC2086
lkvm run -k x $no_dev --config other
ok "the command line wins" grep -q no-such-dev "$err"
lkvm run --config other -k x
ok "the file counts where it does not" grep -q other-dev "$err"

bad() { # TEXT PART
	# shellcheck disable=SC2059	# the escapes are meant
	printf "$1" >bad
	refused 2 "$2" run -k x --config bad
}
bad 'mem 64\nmemm 64\n' 'bad:2: unknown option memm: did you mean mem?'
bad '\055-mem 64\n' 'bad:1: unknown option --mem: did you mean mem?'
bad 'mem 64\nmem 64\n' 'bad:2: mem is given twice: leave one of them out'
bad '\n\nmem\n' 'bad:3: mem needs an argument: mem SIZE'
bad 'dry-run yes\n' 'bad:1: dry-run takes no argument: leave out "yes"'
bad 'cpus 0\n' 'bad:1: cpus 0: too small: the least is 1'
bad 'config vm\n' 'bad:1: config belongs on the command line only'
bad 'mem 64\000\n' 'has zero bytes in it'
refused 2 '--config no-such-file: No such file or directory' run --config no-such-file
refused 2 '--config .: is a directory: give a file' run --config .
refused 2 'run: --config is given twice' run -k x --config vm --config vm
refused 2 'run: --config needs an argument: --config FILE' run --config
head -c 1100000 /dev/zero | tr '\0' '#' >long
refused 2 'longer than 1 MiB' run -k x --config long

finish
