// For `node --require`: the login hosts are the test's own token service, at LOGIN_PORT of this machine. Names and
// certificates are checked as ever, and no file of the system is touched.
const tls = require('node:tls');

const { connect } = tls;
const hosts = ['login.microsoftonline.com', 'login.botframework.com'];
const here = { host: '127.0.0.1', port: Number(process.env.LOGIN_PORT) };
tls.connect = (options, ...rest) =>
  connect(hosts.includes(options?.host) ? { ...options, servername: options.host, ...here } : options, ...rest);
