'use strict';
// Prints as many free loopback ports as it is asked for. All are held until the last is found, so that they differ.

const net = require('node:net');

async function main(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((resolve, reject) => {
          const server = net.createServer();
          server.on('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  console.log(servers.map((server) => server.address().port).join(' '));
  servers.forEach((server) => server.close());
}

main(Number(process.argv[2]));
