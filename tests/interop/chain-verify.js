'use strict';
// A chain is hashed and verified again with nothing but Node's crypto: links, data, signatures, the last config.

const check = require('./lib/check.js');
const { create } = require('./lib/channel.js');
const { envelope, newest, oldest, seek } = require('./lib/envelope.js');
const { checkChain, entries, headerBytes, lastConfig } = require('./lib/block.js');
const { Orderer } = require('./lib/orderer.js');
const network = require('./lib/network.js');

/** Numbers from 128 on need a sign byte in DER. */
const BLOCKS = 140;
const identity = network.p256();
const orderer = new Orderer(network.nodes.open.grpc);

check.run(async () => {
  const channel = create(network.nodes.open, 'chain-verify', '--batch-max-count', '3');
  const stream = orderer.broadcast('committed');
  for (let i = 0; i < BLOCKS * 3; i += 1) await stream.send(envelope({ channel, identity, data: `${i}` }));
  for (let i = 0; i < BLOCKS * 3; i += 1) check.equal((await stream.answer()).status, 'SUCCESS', 'answer');

  const { blocks } = await orderer.seek(seek({ channel, identity, start: oldest(), stop: newest() }));
  check.equal(blocks.length, 1 + BLOCKS, 'blocks: full ones of three');
  checkChain(blocks, 'OrdererMSP', network.authority('OrdererMSP'));
  check.equal([...new Set(blocks.map(lastConfig))], [0], 'last config of every block');
  check.equal(new Set(blocks.slice(1).map((block) => entries(block).length)), new Set([3]), 'entries in a block');
  const header = headerBytes(blocks[128].getHeader());
  check.equal(header.subarray(0, 6), Buffer.from('304802020080', 'hex'), 'header of block 128 begins with its number');
});
