'use strict';
// What `run` has started, as it says in the environment: nodes, and the identities made for them.

const { readFileSync, readdirSync } = require('node:fs');
const { join } = require('node:path');
const { Identity } = require('./identity.js');

function variable(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: scripts are started by tests/interop/run`);
  return value;
}

const crypto = variable('INTEROP_CRYPTO');

/** A node whose clients show no certificate, and one that demands it. */
const nodes = {
  open: { grpc: variable('INTEROP_OPEN'), admin: variable('INTEROP_OPEN_ADMIN'), name: 'orderer0.example.com' },
  mutual: { grpc: variable('INTEROP_MUTUAL'), admin: variable('INTEROP_MUTUAL_ADMIN'), name: 'orderer1.example.com' },
};

const orgs = {
  OrdererMSP: join(crypto, 'ordererOrganizations', 'example.com'),
  Org1MSP: join(crypto, 'peerOrganizations', 'org1.example.com'),
  Org2MSP: join(crypto, 'peerOrganizations', 'org2.example.com'),
  // Of no channel.
  StrangerMSP: join(crypto, '..', 'stranger', 'peerOrganizations', 'stranger.example.com'),
};

/** A file of an organisation's folder, as text. */
function file(msp, ...path) {
  return readFileSync(join(orgs[msp], ...path), 'utf8');
}

/** The only file of a folder, as text. */
function onlyFile(folder) {
  const names = readdirSync(folder);
  if (names.length !== 1) throw new Error(`${folder} has ${names.length} files, one was expected`);
  return readFileSync(join(folder, names[0]), 'utf8');
}

/** The identity in the MSP folder `folder`. */
function identityAt(mspId, folder) {
  return new Identity(mspId, onlyFile(join(folder, 'signcerts')), onlyFile(join(folder, 'keystore')));
}

/** A user of an organisation, such as `User1@org1.example.com`. */
function user(mspId, name) {
  return identityAt(mspId, join(orgs[mspId], 'users', name, 'msp'));
}

/** TLS certificate and key of a user. */
function userTls(mspId, name) {
  return {
    certificate: file(mspId, 'users', name, 'tls', 'client.crt'),
    key: file(mspId, 'users', name, 'tls', 'client.key'),
  };
}

/** Certificate of an organisation's signing authority. */
function authority(mspId) {
  return onlyFile(join(orgs[mspId], 'msp', 'cacerts'));
}

/** Certificate of an organisation's TLS authority. */
function tlsAuthority(mspId) {
  return onlyFile(join(orgs[mspId], 'msp', 'tlscacerts'));
}

module.exports = {
  authority,
  identityAt,
  nodes,
  orgs,
  tlsAuthority,
  user,
  userTls,
  variable,
  // Org1 has P-256 keys, Org2 Ed25519 ones.
  p256: () => user('Org1MSP', 'User1@org1.example.com'),
  ed25519: () => user('Org2MSP', 'User1@org2.example.com'),
  stranger: () => user('StrangerMSP', 'User1@stranger.example.com'),
};
