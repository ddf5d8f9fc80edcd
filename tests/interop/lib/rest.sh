# The admin listener by curl; to be sourced after check.sh.

organisation=$INTEROP_CRYPTO/ordererOrganizations/example.com
admin_tls=$organisation/users/Admin@example.com/tls
# Who may: a client certificate of the orderers' organisation.
as_admin=(--cacert "$admin_tls/ca.crt" --cert "$admin_tls/client.crt" --key "$admin_tls/client.key")
channels=/participation/v1/channels
# The last answer, as files.
answer=$INTEROP_FOLDER/answer.$$

# call PATH CURL_ARGUMENTS... : sets $status, $body and $headers; the body as it came is $answer.body.
call() {
    local path=$1
    shift
    status=$(curl --silent --show-error --max-time 20 "${as_admin[@]}" --dump-header "$answer.headers" \
        --output "$answer.body" --write-out '%{http_code}' "$@" "https://$INTEROP_OPEN_ADMIN$path")
    headers=$(tr -d '\r' <"$answer.headers")
    body=$(tr -d '\0' <"$answer.body")
}

# refused WHAT STATUS ERROR : what the last call answered.
refused() {
    equal "status: $1" "$status" "$2"
    equal "body: $1" "$body" "{\"error\":\"$3\"}"
}

# genesis NAME : makes the genesis block of a channel of the node; prints its file.
genesis() {
    local block=$INTEROP_FOLDER/$1.block
    "$INTEROP_ORDAIN" genesis --channel "$1" --crypto "$INTEROP_CRYPTO" --output "$block" \
        --node "orderer0.example.com=$INTEROP_OPEN" >/dev/null
    echo "$block"
}
