# Every combination of listeners and TLS that is in use (docs/spec/dropin.md §1.2), by curl: who gets in where.
source lib/check.sh
source lib/node.sh

expired=$vectors/crypto/extra/tls-expired
stranger=$INTEROP_FOLDER/listeners-stranger
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=nobody' \
    -keyout "$stranger.key" -out "$stranger.crt" 2>/dev/null
printf '\0\0\0\0\0' >"$INTEROP_FOLDER/listeners.message"
channels=/participation/v1/channels
as_stranger=(--cacert "$own_ca" --cert "$stranger.crt" --key "$stranger.key")
as_expired=(--cacert "$own_ca" --cert "$expired/cert.pem" --key "$expired/key.pem")
as_nobody=(--cacert "$own_ca")

# What the next node is started with.
settings=()

# with PREFIX... : TLS of these listeners, by the node's own pair.
with() {
    local prefix
    for prefix in "$@"; do
        settings+=("${prefix}_TLS_ENABLED=true" "${prefix}_TLS_PRIVATEKEY=$own_node/tls/server.key"
            "${prefix}_TLS_CERTIFICATE=$own_node/tls/server.crt" "${prefix}_TLS_ROOTCAS=[$own_ca]"
            "${prefix}_TLS_CLIENTROOTCAS=[$own_ca]")
    done
}

# own_cluster : a listener of its own for the cluster, on the fifth port.
own_cluster() {
    settings+=("ORDERER_GENERAL_CLUSTER_LISTENADDRESS=127.0.0.1"
        "ORDERER_GENERAL_CLUSTER_LISTENPORT=${port[4]}"
        "ORDERER_GENERAL_CLUSTER_SERVERCERTIFICATE=$own_node/tls/server.crt"
        "ORDERER_GENERAL_CLUSTER_SERVERPRIVATEKEY=$own_node/tls/server.key"
        "ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE=$own_node/tls/server.crt"
        "ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY=$own_node/tls/server.key"
        "ORDERER_GENERAL_CLUSTER_ROOTCAS=[$own_ca]")
}

# combine NAME : begins a combination: nothing but ports of its own.
combine() {
    combination=$1
    ports 5
    settings=("ORDERER_GENERAL_LISTENPORT=${port[0]}" "ORDERER_ADMIN_LISTENADDRESS=127.0.0.1:${port[2]}"
        "ORDERER_OPERATIONS_LISTENADDRESS=127.0.0.1:${port[3]}" ORDERER_METRICS_PROVIDER=prometheus)
}

# serve : starts the node of this combination, and waits until it serves.
serve() {
    log_at=0
    launch "listeners-$combination" "${settings[@]}"
    said 'Beginning to serve requests'
}

# health WHO SCHEME PORT CURL_ARGUMENTS... : gRPC by hand is answered; plain HTTP/2 needs curl to be told.
health() {
    local who=$1 scheme=$2 at=$3
    shift 3
    local http2=--http2
    [[ $scheme == http ]] && http2=--http2-prior-knowledge
    local try
    for try in 1 2 3; do
        said=$(curl --silent --show-error --fail --max-time 20 "$http2" --request POST \
            --header 'Content-Type: application/grpc' --header 'TE: trailers' --output /dev/null \
            --data-binary "@$INTEROP_FOLDER/listeners.message" "$@" \
            "$scheme://127.0.0.1:$at/grpc.health.v1.Health/Check" 2>&1) && break
        # curl of this age takes it for an error (92) when the answer comes before it has ended its request.
        [[ $said == *'(92)'* && $try -lt 3 ]] || failed "gRPC as $who ($combination): $said"
    done
    checks=$((checks + 1))
}

# gets WHAT STATUS URL CURL_ARGUMENTS... ; status 000: the handshake fails, no HTTP answer comes.
gets() {
    local what=$1 expected=$2
    shift 2
    rest "$@"
    equal "$what ($combination; $body)" "$status" "$expected"
}

# Clients with TLS: asked for a certificate, and let in with any or none (§1.2).
clients_with_tls() {
    health nobody https "${port[0]}" "${as_nobody[@]}"
    health operator https "${port[0]}" "${as_operator[@]}"
    health stranger https "${port[0]}" "${as_stranger[@]}"
    gets "plain HTTP where TLS is spoken" 000 "http://127.0.0.1:${port[0]}/"
}

admin_with_tls() {
    local at=https://127.0.0.1:${port[2]}$channels
    gets "list as operator" 200 "$at" "${as_operator[@]}"
    gets "list as nobody" 000 "$at" "${as_nobody[@]}"
    gets "list as stranger" 000 "$at" "${as_stranger[@]}"
    gets "list with an expired certificate" 000 "$at" "${as_expired[@]}"
}

# TLS where a certificate is asked for and not required: verified if one is shown.
operations_with_tls() {
    local at=https://127.0.0.1:${port[3]}
    for path in /healthz /version; do
        gets "$path as nobody" 200 "$at$path" "${as_nobody[@]}"
        gets "$path as operator" 200 "$at$path" "${as_operator[@]}"
        gets "$path as stranger" 000 "$at$path" "${as_stranger[@]}"
    done
    for path in /metrics /logspec; do
        gets "$path as nobody" 401 "$at$path" "${as_nobody[@]}"
        gets "$path as operator" 200 "$at$path" "${as_operator[@]}"
    done
    gets "a new logspec as nobody" 401 "$at/logspec" "${as_nobody[@]}" --request PUT --data '{"spec":"debug"}'
    gets "a new logspec as operator" 204 "$at/logspec" "${as_operator[@]}" --request PUT --data '{"spec":"debug"}'
    gets "the logspec" 200 "$at/logspec" "${as_operator[@]}"
    equal "the logspec" "$body" '{"spec":"debug"}'
}

operations_without_tls() {
    for path in /healthz /version /metrics /logspec; do
        gets "$path" 200 "http://127.0.0.1:${port[3]}$path"
    done
}

# Its own listener for the cluster, with certificates both ways.
cluster_with_tls() {
    health operator https "${port[4]}" "${as_operator[@]}"
    gets "the cluster's listener as nobody" 000 "https://127.0.0.1:${port[4]}/" "${as_nobody[@]}"
    gets "the cluster's listener as stranger" 000 "https://127.0.0.1:${port[4]}/" "${as_stranger[@]}"
}

usual() {
    combine usual
    own_cluster
    with ORDERER_GENERAL ORDERER_ADMIN ORDERER_OPERATIONS
    serve
    clients_with_tls
    cluster_with_tls
    admin_with_tls
    operations_with_tls
    ends TERM
}

one_port_for_both() {
    combine one-port
    with ORDERER_GENERAL ORDERER_ADMIN ORDERER_OPERATIONS
    settings+=(ORDERER_OPERATIONS_TLS_CLIENTAUTHREQUIRED=true)
    serve
    clients_with_tls
    admin_with_tls
    gets "health as operator" 200 "https://127.0.0.1:${port[3]}/healthz" "${as_operator[@]}"
    gets "health as nobody" 000 "https://127.0.0.1:${port[3]}/healthz" "${as_nobody[@]}"
    ends TERM
}

no_tls_for_clients() {
    combine plain
    own_cluster
    serve
    health nobody http "${port[0]}"
    cluster_with_tls
    gets "list without TLS" 200 "http://127.0.0.1:${port[2]}$channels"
    gets "TLS where none is spoken" 000 "https://127.0.0.1:${port[2]}$channels" "${as_operator[@]}"
    operations_without_tls
    ends TERM
}

# The folder's expired certificate was good for a minute: the clocks of the handshakes go back into it.
repair_with_expired_certificates() {
    combine expired
    with ORDERER_GENERAL ORDERER_ADMIN
    local good prefix
    good=$(date -u -d "$(openssl x509 -in "$expired/cert.pem" -noout -enddate | cut -d= -f2)" +%s)
    for prefix in ORDERER_GENERAL ORDERER_ADMIN; do
        settings+=("${prefix}_TLS_PRIVATEKEY=$expired/key.pem" "${prefix}_TLS_CERTIFICATE=$expired/cert.pem"
            "${prefix}_TLS_TLSHANDSHAKETIMESHIFT=$(($(date +%s) - good + 30))s")
    done
    serve
    local list=https://127.0.0.1:${port[2]}$channels
    fails "curl refuses an expired certificate" curl --silent --show-error --max-time 20 "${as_operator[@]}" "$list"
    health "one who looks away" https "${port[0]}" --insecure
    gets "list with an expired certificate" 200 "$list" --insecure "${as_expired[@]}"
    gets "list as operator" 200 "$list" --insecure "${as_operator[@]}"
    gets "list as stranger" 000 "$list" --insecure "${as_stranger[@]}"
    operations_without_tls
    ends TERM
}

usual
one_port_for_both
no_tls_for_clients
repair_with_expired_certificates
