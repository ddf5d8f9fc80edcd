# The crate fabric-sdk 0.5.12 (LF Decentralized Trust Labs) from the first list of channels to the removal of one, against
# a node without any channel: its parser of the list is stricter than others (docs/spec/dropin.md §3).
source lib/check.sh
source lib/node.sh

ports 3
launch fabric-sdk ORDERER_GENERAL_LISTENPORT="${port[0]}" ORDERER_GENERAL_TLS_ENABLED=true \
    ORDERER_ADMIN_LISTENADDRESS="127.0.0.1:${port[1]}" ORDERER_ADMIN_TLS_ENABLED=true \
    ORDERER_ADMIN_TLS_PRIVATEKEY="$own_node/tls/server.key" ORDERER_ADMIN_TLS_CERTIFICATE="$own_node/tls/server.crt" \
    ORDERER_ADMIN_TLS_ROOTCAS="[$own_ca]" ORDERER_ADMIN_TLS_CLIENTROOTCAS="[$own_ca]" \
    ORDERER_OPERATIONS_LISTENADDRESS="127.0.0.1:${port[2]}" ORDERER_METRICS_PROVIDER=prometheus
said 'Beginning to serve requests'

users=$vectors/crypto/peerOrganizations/org1.vec.test/users
works "the client of fabric-sdk" env \
    ADMIN_URL="https://localhost:${port[1]}" ORDERER="localhost:${port[0]}" \
    OPERATIONS_URL="http://localhost:${port[2]}" \
    TLS_CA="$own_ca" TLS_CERTIFICATE="$operator/tls/client.crt" TLS_KEY="$operator/tls/client.key" \
    CHANNEL=raft-one GENESIS="$vectors/blocks/raft-one.block" USER_ORG=Org1 \
    USER_MSP_ID=Org1MSP USER_MSP="$users/User1@org1.vec.test/msp" USER_ADMIN_MSP="$users/Admin@org1.vec.test/msp" \
    "$INTEROP_FABRIC_SDK"
checks=$((checks + $(sed -n 's/^checks: //p' <<<"$said")))
ends TERM
