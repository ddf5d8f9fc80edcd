# Joins and requests that are refused, with the texts that tools search for (docs/spec/behaviour.md §8,
# docs/spec/dropin.md §3); and that the node goes on after each.
source lib/check.sh
source lib/rest.sh

block=$(genesis refused-join)
call "$channels" --form "config-block=@$block"
equal "status of the join" "$status" 201

call "$channels" --form "config-block=@$block"
refused "second join" 405 'cannot join: channel already exists'
matches "methods of a channel that is there" "$headers" '^Allow: GET, DELETE$'

: >"$INTEROP_FOLDER/empty.block"
call "$channels" --form "config-block=@$INTEROP_FOLDER/empty.block"
refused "empty block" 400 'invalid join block: block is not a config block'

printf 'no block at all' >"$INTEROP_FOLDER/garbage.block"
call "$channels" --form "config-block=@$INTEROP_FOLDER/garbage.block"
equal "status of what is no block" "$status" 400
matches "body of what is no block" "$body" '^\{"error":"cannot unmarshal file part config-block into a block: .+"\}$'

# The name inside of the config no longer fits the hash of the data.
sed 's/refused-join/refused-jjin/' "$block" >"$INTEROP_FOLDER/changed.block"
call "$channels" --form "config-block=@$INTEROP_FOLDER/changed.block"
equal "status of a changed block" "$status" 400
matches "body of a changed block" "$body" '^\{"error":"invalid join block: .+"\}$'

call "$channels" --form "other=@$block"
refused "another part" 400 'form does not contains part key: config-block'
call "$channels" --form "config-block=text"
refused "part that is no file" 400 'form does not contains part key: config-block'
call "$channels" --form "config-block=@$block" --form "more=@$block"
refused "two parts" 400 'form contains too many parts'
call "$channels" --data-binary "@$block" --header 'Content-Type:'
refused "no content type" 400 'unsupported Content-Type: []'

head -c 1100000 /dev/zero >"$INTEROP_FOLDER/large.block"
call "$channels" --form "config-block=@$INTEROP_FOLDER/large.block"
refused "body above 1 MiB" 400 'cannot read form from request body: http: request body too large'

call "$channels/nobody-has-it"
refused "unknown channel" 404 'channel does not exist'
call "$channels/NotAllowed"
refused "name that is none" 400 "invalid channel ID: 'NotAllowed' contains illegal characters"
call "$channels" --request PATCH
equal "status of a method that is none" "$status" 405
matches "body of a method that is none" "$body" '^\{"error":"invalid request method: PATCH"\}$'
for path in "" /refused-join /refused-join/blocks/0; do
    call "$channels$path" --header 'Accept: text/html'
    refused "other kind of reply for $path" 406 'response Content-Type is application/json only'
    call "$channels$path" --header 'Accept: text/html, application/*'
    equal "status where JSON is among the kinds" "$status" 200
done

call "$channels/refused-join"
matches "the channel after all that" "$body" '"status":"active","height":1\}$'
