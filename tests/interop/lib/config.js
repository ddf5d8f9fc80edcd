'use strict';
// Configs, and updates to them made from nothing but the protobufs (docs/spec/rules.md §3, §5, §7).

const crypto = require('node:crypto');
const { common } = require('@hyperledger/fabric-protos');
const { entries, entryData } = require('./block.js');
const { envelope } = require('./envelope.js');

/** The ConfigEnvelope of a config block. */
function configEnvelope(block) {
  return common.ConfigEnvelope.deserializeBinary(entryData(entries(block)[0]));
}

/** A group of a config by its path, such as `['Orderer']`. */
function groupAt(config, path) {
  return path.reduce((group, name) => group.getGroupsMap().get(name), config.getChannelGroup());
}

/** The group as it is, with nothing in it: what an update names on its way to what it changes. */
function stub(group) {
  const made = new common.ConfigGroup();
  made.setVersion(group.getVersion());
  return made;
}

/** The group with its members, each by its version alone. */
function shallow(group) {
  const made = stub(group);
  group.getGroupsMap().forEach((each, name) => made.getGroupsMap().set(name, stub(each)));
  group.getValuesMap().forEach((each, name) => {
    const value = new common.ConfigValue();
    value.setVersion(each.getVersion());
    made.getValuesMap().set(name, value);
  });
  group.getPoliciesMap().forEach((each, name) => {
    const policy = new common.ConfigPolicy();
    policy.setVersion(each.getVersion());
    made.getPoliciesMap().set(name, policy);
  });
  return made;
}

/** The channel group with `child` in it, and nothing else. */
function root(config, name, child) {
  const made = stub(config.getChannelGroup());
  made.getGroupsMap().set(name, child);
  return made;
}

function configUpdate(channel, readSet, writeSet) {
  const update = new common.ConfigUpdate();
  update.setChannelId(channel);
  update.setReadSet(readSet);
  update.setWriteSet(writeSet);
  return update.serializeBinary();
}

/** An update that gives a value of the Orderer group another content. */
function changeOrdererValue(channel, config, name, content) {
  const group = groupAt(config, ['Orderer']);
  const old = group.getValuesMap().get(name);
  const value = new common.ConfigValue();
  value.setVersion(old.getVersion() + 1);
  value.setModPolicy(old.getModPolicy());
  value.setValue(content);
  const changed = stub(group);
  changed.getValuesMap().set(name, value);
  return configUpdate(channel, root(config, 'Orderer', stub(group)), root(config, 'Orderer', changed));
}

/** An update that takes an organisation out of the Application group. */
function removeOrganisation(channel, config, name) {
  const group = groupAt(config, ['Application']);
  const left = shallow(group);
  left.setVersion(group.getVersion() + 1);
  left.setModPolicy(group.getModPolicy());
  left.getGroupsMap().del(name);
  return configUpdate(channel, root(config, 'Application', shallow(group)), root(config, 'Application', left));
}

/** A signature over an update, as its signers collect them. */
function configSignature(update, identity) {
  const header = new common.SignatureHeader();
  header.setCreator(identity.serialized());
  header.setNonce(crypto.randomBytes(24));
  const bytes = header.serializeBinary();
  const signature = new common.ConfigSignature();
  signature.setSignatureHeader(bytes);
  signature.setSignature(identity.sign(Buffer.concat([bytes, update])));
  return signature;
}

/** The envelope that brings an update: `signers` for its policies, `identity` for the envelope itself. */
function updateEnvelope({ channel, update, signers, identity }) {
  const content = new common.ConfigUpdateEnvelope();
  content.setConfigUpdate(update);
  content.setSignaturesList(signers.map((signer) => configSignature(update, signer)));
  return envelope({ channel, identity, type: common.HeaderType.CONFIG_UPDATE, data: content.serializeBinary() });
}

module.exports = { changeOrdererValue, configEnvelope, groupAt, removeOrganisation, updateEnvelope };
