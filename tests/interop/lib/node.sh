# Nodes of a script's own, out of a deployment folder of Fabric's tools; to be sourced after check.sh. They are set up by
# environment variables alone, over the orderer.yaml that is shipped, and end with the script.

vectors=$INTEROP_ROOT/tests/vectors/ecdsa
deployment=$vectors/crypto/ordererOrganizations/ord.vec.test
own_node=$deployment/orderers/o1.ord.vec.test
operator=$deployment/users/Admin@ord.vec.test
own_ca=$own_node/tls/ca.crt
# Who may use the admin listener: a client certificate of the orderers' TLS authority.
as_operator=(--cacert "$own_ca" --cert "$operator/tls/client.crt" --key "$operator/tls/client.key")
own_pids=()

end_nodes() {
    local process
    for process in ${own_pids[@]+"${own_pids[@]}"}; do
        kill -KILL "$process" 2>/dev/null || true
    done
    echo "checks: $checks"
}
trap end_nodes EXIT

# ports N : sets ${port[0]} to ${port[N-1]}.
ports() {
    read -ra port <<<"$(node lib/free-ports.js "$1")"
}

# launch NAME VARIABLE=VALUE... : starts node o1 with its folders below NAME; sets $pid. Its log is $log.
launch() {
    local name=$1
    shift
    local home=$INTEROP_FOLDER/own-$name
    mkdir -p "$home"
    log=$home/stderr.log
    touch "$log"
    env FABRIC_CFG_PATH="$INTEROP_ROOT/packaging" \
        ORDERER_GENERAL_LOCALMSPID=OrdererMSP ORDERER_GENERAL_LOCALMSPDIR="$own_node/msp" \
        ORDERER_GENERAL_TLS_PRIVATEKEY="$own_node/tls/server.key" \
        ORDERER_GENERAL_TLS_CERTIFICATE="$own_node/tls/server.crt" \
        ORDERER_GENERAL_TLS_ROOTCAS="[$own_ca]" \
        ORDERER_FILELEDGER_LOCATION="$home/data" \
        ORDERER_CONSENSUS_WALDIR="$home/wal" ORDERER_CONSENSUS_SNAPDIR="$home/snap" \
        "$@" "$INTEROP_ORDERER" 2>>"$log" >>"$home/stdout.log" &
    pid=$!
    own_pids+=("$pid")
}

# said TEXT [SECONDS] : waits until the node's log has the text behind what was found before; as harnesses read it, which
# never look back. $log_at is the line they have come to; set it to 0 for a new log.
log_at=0
said() {
    local tenths line
    for ((tenths = 0; tenths < ${2:-15} * 10; tenths++)); do
        line=$(tail -n +$((log_at + 1)) "$log" | grep -nF -m 1 -- "$1" | cut -d: -f1 || true)
        if [[ -n $line ]]; then
            log_at=$((log_at + line))
            checks=$((checks + 1))
            return
        fi
        sleep 0.1
    done
    tail -20 "$log" >&2
    failed "no '$1' in the log behind line $log_at within ${2:-15} s"
}

# ends SIGNAL : sends it to the node $pid, which must be gone with status 0 within a minute.
ends() {
    local ended=0
    kill "-$1" "$pid"
    timeout 60 tail --pid="$pid" -f /dev/null || failed "the node is still there a minute after SIG$1"
    wait "$pid" || ended=$?
    equal "status after SIG$1" "$ended" 0
}

# rest URL CURL_ARGUMENTS... : sets $status and $body; status 000 if no HTTP answer came, with curl's words in $body.
rest() {
    local url=$1
    shift
    status=$(curl --silent --show-error --max-time 20 --output "$INTEROP_FOLDER/rest.$$" \
        --write-out '%{http_code}' "$@" "$url" 2>"$INTEROP_FOLDER/rest.$$.error") || true
    body=$(if [[ $status == 000 ]]; then cat "$INTEROP_FOLDER/rest.$$.error"; else tr -d '\0' <"$INTEROP_FOLDER/rest.$$"; fi)
}

# broadcast FILE : sends the envelope in FILE to the listener at ${port[0]}, which has TLS; sets $hex, what comes back.
broadcast() {
    local message=$INTEROP_FOLDER/broadcast size
    size=$(stat --format=%s "$1")
    printf '\0' >"$message"
    printf "\\x$(printf '%08x' "$size" | sed 's/../&\\x/g;s/\\x$//')" >>"$message"
    cat "$1" >>"$message"
    curl --silent --show-error --max-time 20 --http2 --cacert "$own_ca" --request POST \
        --header 'Content-Type: application/grpc' --header 'TE: trailers' --data-binary "@$message" \
        --output "$message.answer" "https://127.0.0.1:${port[0]}/orderer.AtomicBroadcast/Broadcast" || true
    hex=$(od -An -v -tx1 "$message.answer" | tr -d ' \n')
}
