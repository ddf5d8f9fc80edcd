'use strict';
// An envelope just below the limits of channel and transport goes in and comes out as it was (docs/spec/dropin.md §7).

const crypto = require('node:crypto');
const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, seek, specified } = require('./lib/envelope.js');
const { checkSignatures, entries, entryData } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const ABSOLUTE_BYTES_MAX = 98 * 1024 * 1024;
const DATA_BYTES = 97 * 1024 * 1024;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

const digest = (bytes) => crypto.createHash('sha256').update(bytes).digest('hex');

check.run(async () => {
  const channel = create(network.nodes.open, 'broadcast-large', '--batch-absolute-bytes', String(ABSOLUTE_BYTES_MAX));
  const data = crypto.randomBytes(DATA_BYTES);
  await orderer.order(envelope({ channel, identity, data }), envelope({ channel, identity, data: 'small' }));
  const { blocks, status } = await orderer.seek(seek({ channel, identity, start: specified(1), stop: specified(2) }));
  check.equal(status, 'SUCCESS', 'status of the seek');
  check.equal(digest(entryData(entries(blocks[0])[0])), digest(data), 'digest of the large data');
  check.equal(entryData(entries(blocks[1])[0]).toString(), 'small', 'data behind it');
  blocks.forEach((block) => checkSignatures(block, 'OrdererMSP', network.authority('OrdererMSP')));
});
