# Who gets in at the admin listener: only who shows a certificate of the orderers' organisation; the others get an
# alert and no HTTP answer (docs/spec/behaviour.md §8).
source lib/check.sh
source lib/rest.sh

url=https://$INTEROP_OPEN_ADMIN$channels
ca=$admin_tls/ca.crt
orgs=$INTEROP_CRYPTO/peerOrganizations

# refused_with WHAT CURL_ARGUMENTS... : no HTTP answer comes.
refused_with() {
    local what=$1
    shift
    fails "$what" curl --silent --show-error --max-time 20 --cacert "$ca" --write-out 'status %{http_code}' "$@" "$url"
    matches "answer $what" "$said" 'status 000'
    matches "error $what" "$said" 'alert|SSL'
}

works "an administrator gets in" curl --silent --show-error --fail --max-time 20 "${as_admin[@]}" "$url"
node_tls=$organisation/orderers/orderer0.example.com/tls
works "the node's own certificate gets in" curl --silent --show-error --fail --max-time 20 \
    --cacert "$ca" --cert "$node_tls/server.crt" --key "$node_tls/server.key" "$url"

for version in 1.2 1.3; do
    only=(--tlsv$version --tls-max $version)
    refused_with "without a certificate, TLS $version" "${only[@]}"
    # Org1 is a member of channels, and nobody here.
    user=$orgs/org1.example.com/users/User1@org1.example.com/tls
    refused_with "with a certificate of Org1, TLS $version" "${only[@]}" \
        --cert "$user/client.crt" --key "$user/client.key"
done

# A certificate that says the right name and signed itself.
own=$INTEROP_FOLDER/self-signed
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj '/CN=Admin@example.com' \
    -keyout "$own.key" -out "$own.crt" 2>/dev/null
refused_with "with a self-signed certificate" --cert "$own.crt" --key "$own.key"

works "an administrator still gets in" curl --silent --show-error --fail --max-time 20 "${as_admin[@]}" "$url"
fails "plain HTTP gets no answer" curl --silent --fail --max-time 20 "http://$INTEROP_OPEN_ADMIN$channels"
