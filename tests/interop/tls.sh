# TLS of all listeners as openssl sees it: the chain verifies for the names it should, TLS 1.2 and 1.3, nothing older.
source lib/check.sh

crypto=$INTEROP_CRYPTO/ordererOrganizations/example.com
ca=$crypto/tlsca/tlsca.example.com-cert.pem
other_ca=$INTEROP_CRYPTO/peerOrganizations/org1.example.com/tlsca/tlsca.org1.example.com-cert.pem
user=$crypto/users/Admin@example.com/tls

# handshake ADDRESS OPENSSL_ARGUMENTS... : the certificate must verify.
handshake() {
    local address=$1
    shift
    timeout 20 openssl s_client -connect "$address" -verify_return_error \
        -cert "$user/client.crt" -key "$user/client.key" "$@" </dev/null
}

listeners=(
    "$INTEROP_OPEN orderer0" "$INTEROP_OPEN_ADMIN orderer0"
    "$INTEROP_MUTUAL orderer1" "$INTEROP_MUTUAL_ADMIN orderer1"
)
for listener in "${listeners[@]}"; do
    read -r address node <<<"$listener"
    for name in localhost "$node.example.com"; do
        works "certificate of $address for $name" \
            handshake "$address" -CAfile "$ca" -verify_hostname "$name" -servername "$name"
        matches "verdict on $address" "$said" 'Verify return code: 0 \(ok\)'
    done
    works "certificate of $address for its IP address" handshake "$address" -CAfile "$ca" -verify_ip 127.0.0.1
    fails "certificate of $address for another name" \
        handshake "$address" -CAfile "$ca" -verify_hostname elsewhere.example.com
    fails "certificate of $address under another authority" handshake "$address" -CAfile "$other_ca"

    works "TLS 1.3 on $address" handshake "$address" -CAfile "$ca" -tls1_3
    matches "version on $address" "$said" 'TLSv1.3'
    works "TLS 1.2 on $address" handshake "$address" -CAfile "$ca" -tls1_2
    matches "version on $address" "$said" 'TLSv1.2'
    # Level 0, so that it is the server who refuses.
    fails "TLS 1.1 on $address" handshake "$address" -CAfile "$ca" -tls1_1 -cipher DEFAULT@SECLEVEL=0
    matches "who refuses TLS 1.1 on $address" "$said" 'alert protocol version|alert handshake failure'
    fails "TLS 1.0 on $address" handshake "$address" -CAfile "$ca" -tls1 -cipher DEFAULT@SECLEVEL=0
    # A session that is resumed would skip the check of the client's certificate.
    works "TLS 1.2 on $address, once more" handshake "$address" -CAfile "$ca" -tls1_2 -reconnect
    equal "sessions resumed on $address" "$(grep -c '^Reused' <<<"$said" || true)" 0
done

for address in "$INTEROP_OPEN" "$INTEROP_MUTUAL"; do
    works "HTTP/2 is agreed on $address" handshake "$address" -CAfile "$ca" -alpn h2,http/1.1
    matches "protocol of $address" "$said" 'ALPN protocol: h2'
done
