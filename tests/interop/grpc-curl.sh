# gRPC spelled out over curl's HTTP/2: what is no gRPC is told so, and a health check by hand is answered.
source lib/check.sh
source lib/rest.sh

url=https://$INTEROP_OPEN
answer=$INTEROP_FOLDER/grpc-curl

# ask CURL_ARGUMENTS... : sets $headers, trailers included, and $bytes, the body in hexadecimal.
ask() {
    curl --silent --show-error --max-time 20 --http2 --cacert "$admin_tls/ca.crt" \
        --dump-header "$answer.headers" --output "$answer.body" "$@"
    headers=$(tr -d '\r' <"$answer.headers")
    bytes=$(od -An -v -tx1 "$answer.body" | tr -d ' \n')
}

# One message without content: no compression, length 0.
printf '\0\0\0\0\0' >"$INTEROP_FOLDER/empty.message"
grpc=(--request POST --header 'Content-Type: application/grpc' --header 'TE: trailers')
message=(--data-binary "@$INTEROP_FOLDER/empty.message")

ask "${grpc[@]}" "${message[@]}" "$url/grpc.health.v1.Health/Check"
matches "HTTP status of a health check" "$headers" '^HTTP/2 200'
matches "gRPC status of a health check" "$headers" '^grpc-status: 0'
# Field 1 of the answer is 1: serving.
equal "health" "$bytes" 00000000020801

# Without a message: curl of this age fails when it is answered before it has sent everything.
ask "${grpc[@]}" "$url/orderer.AtomicBroadcast/Nothing"
matches "HTTP status of an unknown method" "$headers" '^HTTP/2 200'
matches "gRPC status of an unknown method" "$headers" '^grpc-status: 12'

ask "${grpc[@]}" "${message[@]}" "$url/orderer.AtomicBroadcast/Broadcast"
matches "text of the refusal of an empty envelope" "$(<"$answer.body" tr -d '\0')" 'could not determine channel ID'
matches "gRPC status after it" "$headers" '^grpc-status: 0'

ask --header 'x-acknowledge: eventually' "${grpc[@]}" "$url/orderer.AtomicBroadcast/Broadcast"
matches "gRPC status of an unknown level" "$headers" '^grpc-status: 3'

ask "$url/"
matches "HTTP status of a browser" "$headers" '^HTTP/2 415'
