'use strict';
// A channel for one script alone: `ordain genesis` makes its first block, curl lets the node join.

const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const network = require('./network.js');

const folder = network.variable('INTEROP_FOLDER');
const ordain = network.variable('INTEROP_ORDAIN');

/** How the admin listener of a node is reached with curl. */
function curlArguments() {
  const admin = join(network.orgs.OrdererMSP, 'users', 'Admin@example.com', 'tls');
  return [
    '--silent',
    '--show-error',
    '--fail-with-body',
    '--max-time',
    '20',
    '--cacert',
    join(admin, 'ca.crt'),
    '--cert',
    join(admin, 'client.crt'),
    '--key',
    join(admin, 'client.key'),
  ];
}

/** Makes the genesis block of `name` for a node; answers the file. Further options are those of `ordain genesis`. */
function genesis(node, name, ...options) {
  const block = join(folder, `${name}.block`);
  execFileSync(
    ordain,
    [
      'genesis',
      '--channel',
      name,
      '--crypto',
      network.variable('INTEROP_CRYPTO'),
      '--output',
      block,
      '--node',
      `${node.name}=${node.grpc}`,
      '--batch-timeout',
      '100ms',
      ...options,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  return block;
}

/** Makes a channel and lets the node join; answers its name. */
function create(node, name, ...options) {
  const block = genesis(node, name, ...options);
  const url = `https://${node.admin}/participation/v1/channels`;
  execFileSync('curl', [...curlArguments(), '--form', `config-block=@${block}`, url], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return name;
}

module.exports = { create, genesis };
