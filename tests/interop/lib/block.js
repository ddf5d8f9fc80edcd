'use strict';
// Blocks, checked from nothing but their bytes and the orderers' authority (docs/spec/rules.md §1, §2).

const crypto = require('node:crypto');
const { common, msp } = require('@hyperledger/fabric-protos');
const check = require('./check.js');
const { der, derInteger, isLowS } = require('./identity.js');

function sha256(...parts) {
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The header as it is hashed and signed. */
function headerBytes(header) {
  return der(
    0x30,
    Buffer.concat([
      derInteger(BigInt(header.getNumber())),
      der(0x04, Buffer.from(header.getPreviousHash_asU8())),
      der(0x04, Buffer.from(header.getDataHash_asU8())),
    ]),
  );
}

function headerHash(block) {
  return sha256(headerBytes(block.getHeader()));
}

const number = (block) => block.getHeader().getNumber();
const entries = (block) => block.getData().getDataList_asU8();

function decodeMetadata(block, slot) {
  return common.Metadata.deserializeBinary(block.getMetadata().getMetadataList_asU8()[slot]);
}

/** What the orderers signed beside the header. */
function ordererMetadata(block) {
  const value = decodeMetadata(block, common.BlockMetadataIndex.SIGNATURES).getValue_asU8();
  return common.OrdererBlockMetadata.deserializeBinary(value);
}

/** Number of the config block in force. */
function lastConfig(block) {
  return ordererMetadata(block).getLastConfig().getIndex();
}

/** The channel header of an entry. */
function channelHeader(entry) {
  const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(entry).getPayload_asU8());
  return common.ChannelHeader.deserializeBinary(payload.getHeader().getChannelHeader_asU8());
}

/** The data of an entry. */
function entryData(entry) {
  const payload = common.Payload.deserializeBinary(common.Envelope.deserializeBinary(entry).getPayload_asU8());
  return Buffer.from(payload.getData_asU8());
}

/** Whether `signature` over `message` is by the key of `certificate`; an ECDSA one must have low S. */
function isSigned(certificate, message, signature) {
  if (certificate.publicKey.asymmetricKeyType === 'ed25519') {
    return crypto.verify(null, message, certificate.publicKey, signature);
  }
  return isLowS(signature) && crypto.verify('sha256', message, certificate.publicKey, signature);
}

/** Checks that at least one orderer signed the block; answers the signers' certificates. */
function checkSignatures(block, mspId, authorityPem) {
  const authority = new crypto.X509Certificate(authorityPem);
  const metadata = decodeMetadata(block, common.BlockMetadataIndex.SIGNATURES);
  const signatures = metadata.getSignaturesList();
  check.holds(signatures.length > 0, `block ${number(block)} is signed`);
  return signatures.map((signature) => {
    const header = signature.getSignatureHeader_asU8();
    const creator = common.SignatureHeader.deserializeBinary(header).getCreator_asU8();
    const identity = msp.SerializedIdentity.deserializeBinary(creator);
    check.equal(identity.getMspid(), mspId, 'organisation of the signer');
    const certificate = new crypto.X509Certificate(Buffer.from(identity.getIdBytes_asU8()));
    check.holds(
      certificate.verify(authority.publicKey),
      'the signer was certified by the authority of its organisation',
    );
    const signed = Buffer.concat([metadata.getValue_asU8(), header, headerBytes(block.getHeader())]);
    check.holds(isSigned(certificate, signed, signature.getSignature_asU8()), `signature of block ${number(block)}`);
    return certificate;
  });
}

/** Checks one block's form: its number, its link to `previous`, the hash of its data, its five slots. */
function checkForm(block, previous) {
  const header = block.getHeader();
  check.equal(number(block), previous ? number(previous) + 1 : 0, 'block number');
  check.equal(
    header.getPreviousHash_asU8(),
    previous ? headerHash(previous) : Buffer.alloc(0),
    `link of block ${number(block)}`,
  );
  check.equal(header.getDataHash_asU8(), sha256(...entries(block)), `data hash of block ${number(block)}`);
  check.equal(block.getMetadata().getMetadataList_asU8().length, 5, 'metadata slots');
}

/** Checks blocks from the genesis block on: form, and but for the genesis block signatures. */
function checkChain(blocks, mspId, authorityPem) {
  blocks.forEach((block, index) => {
    checkForm(block, blocks[index - 1]);
    if (index > 0) checkSignatures(block, mspId, authorityPem);
  });
}

module.exports = {
  channelHeader,
  checkChain,
  checkForm,
  checkSignatures,
  entries,
  entryData,
  headerBytes,
  headerHash,
  lastConfig,
  number,
  sha256,
};
