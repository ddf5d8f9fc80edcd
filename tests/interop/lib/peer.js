'use strict';
// A stand-in for a peer, for clients that speak to the orderer only by way of one: it endorses whatever it is asked,
// and passes on the orderer's blocks with every transaction marked valid. What it tests is the orderer behind it.

const crypto = require('node:crypto');
const grpc = require('@grpc/grpc-js');
const { common, peer } = require('@hyperledger/fabric-protos');
const { channelHeader, entries, entryData, number } = require('./block.js');
const { envelope } = require('./envelope.js');

/** Slot of a block's metadata that belongs to peers: a byte for each transaction, 0 if it is valid. */
const TRANSACTIONS_FILTER = 2;

/** Endorses as `identity`; `result` is what the chaincode answers. */
function endorse(identity, result) {
  return (call, done) => {
    const response = new peer.Response();
    response.setStatus(200);
    response.setPayload(Buffer.from(result));
    const action = new peer.ChaincodeAction();
    action.setResponse(response);
    const payload = new peer.ProposalResponsePayload();
    payload.setProposalHash(crypto.createHash('sha256').update(call.request.getProposalBytes_asU8()).digest());
    payload.setExtension$(action.serializeBinary());
    const bytes = payload.serializeBinary();
    const endorsement = new peer.Endorsement();
    endorsement.setEndorser(identity.serialized());
    endorsement.setSignature(identity.sign(Buffer.concat([bytes, identity.serialized()])));
    const reply = new peer.ProposalResponse();
    reply.setVersion(1);
    reply.setResponse(response);
    reply.setPayload(bytes);
    reply.setEndorsement(endorsement);
    done(null, reply);
  };
}

/** The block with every transaction marked valid, as a peer does after its checks. */
function fullReply(block) {
  const slots = block.getMetadata().getMetadataList_asU8();
  slots[TRANSACTIONS_FILTER] = new Uint8Array(entries(block).length);
  block.getMetadata().setMetadataList(slots);
  const reply = new peer.DeliverResponse();
  reply.setBlock(block);
  return reply;
}

/** The block's transactions by their ids. */
function filteredReply(block) {
  const filtered = new peer.FilteredBlock();
  filtered.setNumber(number(block));
  filtered.setFilteredTransactionsList(
    entries(block).map((entry) => {
      const header = channelHeader(entry);
      const transaction = new peer.FilteredTransaction();
      transaction.setTxid(header.getTxId());
      transaction.setType(header.getType());
      transaction.setTxValidationCode(peer.TxValidationCode.VALID);
      return transaction;
    }),
  );
  const reply = new peer.DeliverResponse();
  reply.setFilteredBlock(filtered);
  return reply;
}

/** Asks the orderer for what it is asked for, and passes the blocks on as `reply` makes them. */
function relay(orderer, identity, reply) {
  return (call) =>
    call.once('data', (request) => {
      const asked = request.serializeBinary();
      const stream = orderer.deliver();
      call.on('cancelled', () => stream.cancel());
      const again = envelope({
        channel: channelHeader(asked).getChannelId(),
        identity,
        type: common.HeaderType.DELIVER_SEEK_INFO,
        data: entryData(asked),
      });
      passOn(stream, again, reply, call).catch((error) => call.destroy(error));
    });
}

async function passOn(stream, request, reply, call) {
  await stream.send(request);
  for (;;) {
    const event = await stream.nextEver();
    if (!event?.hasBlock()) break;
    call.write(reply(event.getBlock()));
  }
  call.end();
}

/** Starts one without TLS in front of `orderer`; answers its port. */
function start({ identity, orderer, result }) {
  const server = new grpc.Server();
  server.addService(peer.EndorserService, { processProposal: endorse(identity, result) });
  server.addService(peer.DeliverService, {
    deliver: relay(orderer, identity, fullReply),
    deliverFiltered: relay(orderer, identity, filteredReply),
    deliverWithPrivateData: (call) =>
      call.destroy(Object.assign(new Error('not here'), { code: grpc.status.UNIMPLEMENTED })),
  });
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

module.exports = { start };
