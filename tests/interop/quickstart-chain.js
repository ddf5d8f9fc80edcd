'use strict';
// What `orderer quickstart` leaves is enough for anybody's client: its connection file leads to a chain of Ed25519
// signatures that verifies, and takes more envelopes.

const { readFileSync } = require('node:fs');
const { join, resolve } = require('node:path');
const grpc = require('@grpc/grpc-js');
const { orderer: protos } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { checkChain, checkSignatures, entries, entryData } = require('./lib/block.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const folder = network.variable('INTEROP_QUICKSTART');
const connection = JSON.parse(readFileSync(join(folder, 'connection.json'), 'utf8'));
const path = (name) => resolve(folder, name);

check.run(async () => {
  const { channel } = connection;
  const identity = network.identityAt(connection.identity.msp_id, path(connection.identity.msp));
  const authority = readFileSync(path('crypto/ordererOrganizations/example.com/ca/ca.example.com-cert.pem'));
  const orderer = ordererOf(connection);
  check.equal(identity.keyType, 'ed25519', "kind of the client's key");
  await orderer.order(envelope({ channel, identity, data: 'from elsewhere' }));

  const { blocks, status } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(status, 'SUCCESS', 'status of the seek');
  checkChain(blocks, 'OrdererMSP', authority);
  const [signer] = checkSignatures(blocks.at(-1), 'OrdererMSP', authority);
  check.equal(signer.publicKey.asymmetricKeyType, 'ed25519', "kind of the orderer's key");
  const ordered = blocks.slice(1).flatMap(entries);
  check.equal(ordered.length, 201, 'envelopes: those of quickstart, and one more');
  check.equal(entryData(ordered.at(-1)).toString(), 'from elsewhere', 'data of the last one');
});

function ordererOf({ orderers, tls }) {
  const made = new Orderer(orderers[0].address);
  made.client = new protos.AtomicBroadcastClient(
    orderers[0].address,
    grpc.credentials.createSsl(readFileSync(path(tls.ca))),
  );
  return made;
}
