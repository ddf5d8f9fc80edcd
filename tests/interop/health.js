'use strict';
// The standard health service, asked with the client of the package grpc-health-check.

const grpc = require('@grpc/grpc-js');
const { service } = require('grpc-health-check');
const check = require('./lib/check.js');
const { credentials, within } = require('./lib/orderer.js');
const network = require('./lib/network.js');

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;
const Health = grpc.makeGenericClientConstructor(service, 'grpc.health.v1.Health');
const client = new Health(network.nodes.open.grpc, credentials());

const ask = (name) =>
  within(
    new Promise((resolve, reject) => {
      client.check({ service: name }, (error, reply) => (error ? reject(error) : resolve(reply)));
    }),
    'no health came',
  );

check.run(async () => {
  check.equal((await ask('')).status, 'SERVING', 'health of the node');
  const error = await check.fails(ask('nobody.has.It'), /./, 'health of an unknown service');
  check.equal(error.code, NOT_FOUND, 'gRPC status for an unknown service');
  await watchesSayTheStateAtOnce();
  await unknownMethodsAreUnimplemented();
});

async function watchesSayTheStateAtOnce() {
  const watch = client.watch({ service: '' });
  const first = new Promise((resolve, reject) => {
    watch.on('data', resolve).on('error', reject);
  });
  check.equal((await within(first, 'no state came')).status, 'SERVING', 'first state of a watch');
  watch.on('error', () => {});
  watch.cancel();
}

async function unknownMethodsAreUnimplemented() {
  const call = (path) =>
    new Promise((resolve) => {
      const bytes = (it) => it;
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) => resolve(error?.code));
    });
  for (const path of ['/orderer.AtomicBroadcast/Nothing', '/protos.Deliver/Deliver']) {
    check.equal(await within(call(path), 'no answer'), UNIMPLEMENTED, `gRPC status of ${path}`);
  }
}
