'use strict';
// Headers with signatures in place of blocks: data is left out, config blocks come whole, and the signatures verify.

const { orderer: protos } = require('@hyperledger/fabric-protos');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { checkSignatures, entries, headerHash } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'deliver-headers');
  await orderer.order(...['one', 'two'].map((data) => envelope({ channel, identity, data })));
  const read = async (contentType) => {
    const { blocks, status } = await orderer.seek(
      seek({ channel, identity, start: oldest(), stop: newest(), contentType }),
    );
    check.equal(status, 'SUCCESS', 'status');
    return blocks;
  };
  const whole = await read(protos.SeekInfo.SeekContentType.BLOCK);
  const headers = await read(protos.SeekInfo.SeekContentType.HEADER_WITH_SIG);
  check.equal(headers.length, 3, 'headers');
  check.equal(headers[0].serializeBinary(), whole[0].serializeBinary(), 'the config block');
  for (const number of [1, 2]) {
    const [header, block] = [headers[number], whole[number]];
    check.holds(!header.hasData() || entries(header).length === 0, `block ${number} comes without data`);
    check.equal(entries(block).length, 1, `entries of the whole block ${number}`);
    check.equal(headerHash(header), headerHash(block), `header of block ${number}`);
    check.equal(
      header.getMetadata().serializeBinary(),
      block.getMetadata().serializeBinary(),
      `metadata of block ${number}`,
    );
    checkSignatures(header, 'OrdererMSP', network.authority('OrdererMSP'));
  }
});
