# What /metrics says, read by the official Python client's parser: every line is understood, families and samples fit
# together, and what dashboards for Fabric ask for is there (docs/spec/dropin.md §9).
source lib/check.sh
source lib/node.sh

ports 3
launch metrics ORDERER_GENERAL_LISTENPORT="${port[0]}" ORDERER_GENERAL_TLS_ENABLED=true \
    ORDERER_ADMIN_LISTENADDRESS="127.0.0.1:${port[1]}" \
    ORDERER_OPERATIONS_LISTENADDRESS="127.0.0.1:${port[2]}" ORDERER_METRICS_PROVIDER=prometheus
said 'Beginning to serve requests'
operations=http://127.0.0.1:${port[2]}
rest "http://127.0.0.1:${port[1]}/participation/v1/channels" --form "config-block=@$vectors/blocks/raft-one.block"
equal "status of the join" "$status" 201
said 'Start accepting requests as Raft leader' 60
broadcast "$vectors/envelopes/revoked-not-in-this-channel.pb"
matches "answer to an envelope" "$hex" '08c801'
for ((tenths = 0; tenths < 100; tenths++)); do
    rest "http://127.0.0.1:${port[1]}/participation/v1/channels/raft-one"
    [[ $body == *'"height":2'* ]] && break
    sleep 0.1
done

python=$(lib/python.sh prometheus_client==0.26.0)
works "the official client reads the page twice" "$python" metrics.py "$operations/metrics"
read -r families samples <<<"$(tail -1 <<<"$said")"
equal "many families" "$((families > 20))" 1
equal "many samples" "$((samples > 50))" 1
echo "$families families, $samples samples"
