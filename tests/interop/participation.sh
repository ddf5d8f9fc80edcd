# The channel participation interface by curl: list, join, info, blocks, with status, headers and body as scripts
# compare them (docs/spec/behaviour.md §8, docs/spec/dropin.md §3).
source lib/check.sh
source lib/rest.sh

# info NAME HEIGHT : what the node says of a channel that it orders.
info() {
    printf '{"name":"%s","url":"%s","consensusRelation":"consenter","status":"active","height":%d}' \
        "$1" "$channels/$1" "$2"
}

join_two_channels() {
    local name block
    for name in joined-one joined-two; do
        block=$(genesis "$name")
        call "$channels" --form "config-block=@$block"
        equal "status of a join" "$status" 201
        equal "body of a join" "$body" "$(info "$name" 1)"
        matches "place of the channel" "$headers" "^Location: $channels/$name\$"
        matches "id of the request" "$headers" '^X-Request-Id: [0-9a-f-]{36}$'

        call "$channels/$name"
        equal "status of info" "$status" 200
        equal "body of info" "$body" "$(info "$name" 1)"
        matches "caching of info" "$headers" '^Cache-Control: no-store$'

        call "$channels/$name/blocks/0"
        equal "status of a block" "$status" 200
        matches "kind of a block" "$headers" '^Content-Type: application/octet-stream$'
        works "the block is the one that was joined with" cmp "$block" "$answer.body"
    done
}

list() {
    call "$channels"
    equal "status of the list" "$status" 200
    matches "kind of the list" "$headers" '^Content-Type: application/json$'
    matches "caching of the list" "$headers" '^Cache-Control: no-store$'
    matches "system channel" "$body" '^\{"systemChannel":null,"channels":\['
    for name in joined-one joined-two; do
        matches "entry of the list" "$body" "\{\"name\":\"$name\",\"url\":\"$channels/$name\"\}"
    done
}

blocks() {
    for id in newest oldest config 0; do
        call "$channels/joined-one/blocks/$id"
        equal "status of block $id" "$status" 200
    done
    call "$channels/joined-one/blocks/7"
    refused "block above the tip" 404 'no such block number [7] in index'
    call "$channels/joined-one/blocks/last"
    refused "block that is none" 400 "invalid block ID: 'last' not equal \\u003cnewest/oldest/config/(number)\\u003e"
    call "$channels/nobody-has-it/blocks/0"
    refused "block of an unknown channel" 404 'channel does not exist'
}

paths() {
    call /participation/v1/
    equal "status of the root" "$status" 302
    matches "where the root leads" "$headers" "^Location: $channels\$"
    call /participation/v1
    equal "status without slash" "$status" 307
    call /participation/v2
    equal "status of no path" "$status" 404
    equal "body of no path" "$body" '404 page not found'
}

call "$channels"
equal "status of the first list" "$status" 200
join_two_channels
list
blocks
paths
