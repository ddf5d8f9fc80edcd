# Checks that count themselves, for scripts of bash; to be sourced. The number of checks is printed at the end.
set -euo pipefail

checks=0
trap 'echo "checks: $checks"' EXIT

# failed WHAT
failed() {
    echo "check failed: $1" >&2
    exit 1
}

# equal WHAT ACTUAL EXPECTED
equal() {
    [[ $2 == "$3" ]] || failed "$1: '$2' in place of '$3'"
    checks=$((checks + 1))
}

# matches WHAT TEXT EXTENDED_REGULAR_EXPRESSION
matches() {
    grep -Eq -- "$3" <<<"$2" || failed "$1: '$2' does not match '$3'"
    checks=$((checks + 1))
}

# fails WHAT COMMAND... : the command ends with another status than 0; what it says is kept in $said.
fails() {
    local what=$1
    shift
    if said=$("$@" 2>&1 | tr -d '\0'); then failed "$what: it went well: $said"; fi
    checks=$((checks + 1))
}

# works WHAT COMMAND... : the command ends with status 0; what it says is kept in $said.
works() {
    local what=$1
    shift
    said=$("$@" 2>&1 | tr -d '\0') || failed "$what: $said"
    checks=$((checks + 1))
}
