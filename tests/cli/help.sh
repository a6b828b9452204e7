#!/bin/sh
# SPDX-License-Identifier: MIT
#
# help, version, and that --help and the manual pages know the same options.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

verbs="run list pause resume stop resize link debug devices help version"

lkvm
ok "lkvm alone has status 2" [ $status = 2 ]
ok "and its help is on stderr" grep -q '^Usage: lkvm VERB' "$err"
ok "and nothing on stdout" [ ! -s "$out" ]
cp "$err" "$tmp/help"

for arg in help --help -h; do
	lkvm $arg
	ok "lkvm $arg: status 0" [ $status = 0 ]
	ok "lkvm $arg: the same help, on stdout" cmp -s "$out" "$tmp/help"
	ok "lkvm $arg: nothing on stderr" [ ! -s "$err" ]
done

for verb in $verbs; do
	ok "the help lists $verb" grep -q "^  $verb " "$tmp/help"
	lkvm help "$verb"
	ok "lkvm help $verb: status 0" [ $status = 0 ]
	cp "$out" "$tmp/help-$verb"
	ok "lkvm help $verb: says how it is used" grep -q '^Usage: lkvm ' "$out"
	wide=$(awk 'length($0) > 110' "$out")
	ok "lkvm help $verb: no line is wider than 110 columns" [ -z "$wide" ]
	for arg in --help -h; do
		lkvm "$verb" $arg
		ok "lkvm $verb $arg: status 0" [ $status = 0 ]
		ok "lkvm $verb $arg: the same" cmp -s "$out" "$tmp/help-$verb"
	done
done
lkvm run -k nope --mem 0 --help
ok "--help wins over mistakes beside it" eval "[ $status = 0 ] && cmp -s '$out' '$tmp/help-run'"

refused 2 'rnu: no such verb: did you mean "lkvm run"?' rnu
refused 2 'resum: no such verb: did you mean "lkvm resume"?' resum
refused 2 'frobnicate: no such verb: "lkvm help" lists them all' frobnicate
refused 2 'stpo: no such verb: did you mean "lkvm stop"?' help stpo
refused 2 'help: "stop": one verb at a time' help run stop

lkvm version
ok "lkvm version: one line" eval "[ $status = 0 ] && grep -qE '^lkvm [0-9]+\.[0-9]+\.[0-9]+$' '$out'"
cp "$out" "$tmp/version"
for arg in --version -V; do
	lkvm $arg
	ok "lkvm $arg is lkvm version" cmp -s "$out" "$tmp/version"
done
lkvm version --build-options
for what in machines compiler sanitizer liburing libslirp libseccomp libzstd; do
	ok "build options: $what" grep -qE "^$what: [^ ]" "$out"
done
refused 2 'version: unknown option --build-option: did you mean --build-options?' version --build-option
refused 2 'version: "x": takes no such word' version x
if [ -w /dev/full ]; then
	"$LKVM" version >/dev/full 2>"$err"
	status=$?
	: >"$out"
	ok "lkvm version on a full disk: status 1" [ $status = 1 ]
fi

# --- the manual pages ---------------------------------------------------------------------------------

# Options of a help text: "-k --kernel" a line
options_of() {
	sed -nE -e 's/^  (-[a-zA-Z0-9]), --([a-z0-9-]+).*/\1 \2/p' -e 's/^      --([a-z0-9-]+).*/ \1/p' "$1" |
		sort -u
}

# part_of PAGE VERB: what the page says of that verb; of the machines' own sections, the one that the help has
part_of() {
	case $2 in
	run)
		awk -v help="$(grep -E '^(x86|arm64|powerpc):$' "$tmp/help-run" | tr -d :)" '
			/^\.S[sh] / { on = $2 !~ /^(x86|arm64|powerpc)$/ || $2 == help }
			on || !/^\.It/' "$1"
		;;
	*) awk -v verb="$2" '/^\.S[sh] /{ on = $0 ~ "lkvm " verb "( |,|$)" } on' "$1" ;;
	esac
}

for verb in $verbs; do
	[ "$verb" = run ] && page=$top/docs/lkvm-run.1 || page=$top/docs/lkvm.1
	# What resume takes is said together with pause.
	case $verb in resume) where=pause ;; *) where=$verb ;; esac
	part_of "$page" "$where" >"$tmp/part"
	options_of "$tmp/help-$verb" >"$tmp/options"
	missing=
	while read -r letter name; do
		[ -n "$name" ] || { name=$letter letter=; }
		# Every verb takes these two; lkvm(1) says so once.
		[ "$verb" != run ] && [ "$name" = help ] && continue
		grep -qE "^\.It .*Fl Fl $name( |$)" "$tmp/part" || missing="$missing --$name"
		[ -z "$letter" ] || grep -qE "^\.It Fl ${letter#-} .*Fl Fl $name( |$)" "$tmp/part" ||
			missing="$missing $letter"
	done <"$tmp/options"
	ok "the manual has every option of $verb: ${missing:-yes}" [ -z "$missing" ]
	# And the other way round.
	more=
	sed -nE 's/^\.It .*Fl Fl ([a-z0-9-]+).*/\1/p' "$tmp/part" >"$tmp/names"
	while read -r name; do
		grep -qE -- "--$name( |$)" "$tmp/help-$verb" || more="$more --$name"
	done <"$tmp/names"
	ok "$verb has every option of the manual: ${more:-yes}" [ -z "$more" ]
done
ok "there were options to compare" [ "$(options_of "$tmp/help-run" | wc -l)" -gt 20 ]

# The statuses that docs/exit-status.md has, the manual has too.
sed -nE 's/^\| ([0-9]+) \| [a-z]+ .*/\1/p' "$top/docs/exit-status.md" | sort -un >"$tmp/codes"
ok "there were statuses to compare" [ "$(wc -l <"$tmp/codes")" -gt 7 ]
while read -r code; do
	ok "lkvm-run(1) has exit status $code" grep -qE "^\.It $code( |$)" "$top/docs/lkvm-run.1"
done <"$tmp/codes"

finish
