# A deployment as scripts drive it: variables over the shipped sample, curl in place of osnadmin, and the texts that such
# scripts look for in the log, in their order (docs/spec/dropin.md §1 to §3).
source lib/check.sh
source lib/node.sh

ports 3
admin=https://127.0.0.1:${port[1]}
channels=$admin/participation/v1/channels
channel=raft-one
start() {
    launch deployment ORDERER_GENERAL_LISTENPORT="${port[0]}" ORDERER_GENERAL_TLS_ENABLED=true \
        ORDERER_ADMIN_LISTENADDRESS="127.0.0.1:${port[1]}" ORDERER_ADMIN_TLS_ENABLED=true \
        ORDERER_ADMIN_TLS_PRIVATEKEY="$own_node/tls/server.key" \
        ORDERER_ADMIN_TLS_CERTIFICATE="$own_node/tls/server.crt" \
        ORDERER_ADMIN_TLS_ROOTCAS="[$own_ca]" ORDERER_ADMIN_TLS_CLIENTROOTCAS="[$own_ca]" \
        ORDERER_OPERATIONS_LISTENADDRESS="127.0.0.1:${port[2]}"
}

# orders BLOCKS : sends an envelope of the folder until it is taken; afterwards the node has so many blocks.
orders() {
    local tries
    for ((tries = 0; tries < 60; tries++)); do
        broadcast "$vectors/envelopes/revoked-not-in-this-channel.pb"
        # Field 1 of the answer is 200, SUCCESS; with 503 one asks again a second later.
        [[ $hex == *08c801* ]] && break
        sleep 1
    done
    matches "answer to an envelope" "$hex" '08c801'
    for ((tries = 0; tries < 100; tries++)); do
        rest "$channels/$channel" "${as_operator[@]}"
        [[ $body == *'"height":'"$1"* ]] && break
        sleep 0.1
    done
    matches "height" "$body" "\"height\":$1[,}]"
}

start
said 'Registrar initializing without a system channel'
said 'Beginning to serve requests'

rest "$channels" "${as_operator[@]}"
equal "status of the list" "$status" 200
fails "no channel is listed" grep -q '"name"' <<<"$body"
rest "$channels" "${as_operator[@]}" --form "config-block=@$vectors/blocks/$channel.block"
equal "status of the join" "$status" 201
matches "what was joined" "$body" '"consensusRelation":"consenter","status":"active","height":1[,}]'
said "Raft leader changed: 0 -> 1 channel=$channel node=1" 60
said "Start accepting requests as Raft leader at block [0] channel=$channel node=1" 60
rest "$channels" "${as_operator[@]}" --form "config-block=@$vectors/blocks/$channel.block"
equal "status of a second join" "$status" 405
equal "text of a second join" "$body" '{"error":"cannot join: channel already exists"}'
orders 2

for id in newest oldest config 1; do
    rest "$channels/$channel/blocks/$id" "${as_operator[@]}"
    equal "status of block $id" "$status" 200
done
broadcast "$vectors/envelopes/empty-channel.pb"
# 400, with the text that the peer's command line shows behind "got unexpected status: BAD_REQUEST -- ".
matches "answer to an envelope for no channel" "$hex" '089003'
matches "its text" "$(tr -d '\0' <"$INTEROP_FOLDER/broadcast.answer")" 'channel'

kill -USR1 "$pid"
said 'Received signal: 10 (user defined signal 1)'
said 'Go routines report'
ends TERM
said 'Received signal: 15 (terminated)'

# At once, on the same ports, with the same folders.
start
said 'Registrar initializing without a system channel, number of application channels: 1, with 1 consensus.Chain(s) and 0 follower.Chain(s)'
said 'Beginning to serve requests'
said "Raft leader changed: 0 -> 1 channel=$channel node=1" 60
said "Start accepting requests as Raft leader at block [1] channel=$channel node=1" 60
orders 3
kill -KILL "$pid"
wait "$pid" 2>/dev/null || true
start
said 'Beginning to serve requests'
orders 4

rest "$channels/$channel" "${as_operator[@]}" --request DELETE
equal "status of the removal" "$status" 204
for ((tenths = 0; tenths < 10; tenths++)); do
    rest "$channels" "${as_operator[@]}"
    [[ $body == *'"name"'* ]] || break
    sleep 0.1
done
fails "no channel is listed a second later" grep -q '"name"' <<<"$body"
rest "$channels/$channel" "${as_operator[@]}"
equal "text after the removal" "$body" '{"error":"channel does not exist"}'
rest "$channels" "${as_operator[@]}" --form "config-block=@$vectors/blocks/$channel.block"
equal "status of joining again in the same process" "$status" 201
orders 2
ends TERM
fails "no line of level ERRO" grep -F ERRO "$log"
