// The life of a meeting as bigbluebutton-js leads it: what each call brings is printed as one JSON object.
// Started by tests/end_to_end/test_clients.py with the packages in NODE_PATH, MEETINGPOOL_URL and MEETINGPOOL_SECRET.
'use strict'

const axios = require('axios')
const bbb = require('bigbluebutton-js')

const api = bbb.api(process.env.MEETINGPOOL_URL, process.env.MEETINGPOOL_SECRET)
const { administration, monitoring, hooks } = api

async function main() {
  const seen = {}
  const call = async (name, url) => { seen[name] = await bbb.http(url) }

  await call('nothing', monitoring.getMeetings())
  const room = { attendeePW: 'a p+w', moderatorPW: 'm(p)*w~!', 'meta_bbb-context': 'ä & <b>', welcome: '', duration: 30 }
  await call('created', administration.create('A room (ä) ~*! & more', 'room [0]', room))
  await call('repeated', administration.create('A room (ä) ~*! & more', 'room [0]', room))
  const joined = await axios(administration.join('Ann (ü)', 'room [0]', 'm(p)*w~!', { userID: 7 }))
  seen.joined = joined.request.res.responseUrl
  await call('running', monitoring.isMeetingRunning('room [0]'))
  await call('info', monitoring.getMeetingInfo('room [0]'))
  await call('listed', monitoring.getMeetings())
  await call('hook', hooks.create('https://lms.example.org/hook?a=b&c=(d)', { meetingID: 'room [0]' }))
  await call('hooks', hooks.list())
  await call('unhooked', hooks.destroy(seen.hook.hookID))
  await call('refused', administration.end('room [0]', 'wrong'))
  await call('ended', administration.end('room [0]', 'm(p)*w~!'))
  await call('gone', monitoring.getMeetingInfo('room [0]'))
  console.log(JSON.stringify(seen))
}

main().catch((error) => {
  // Without the request, which holds a checksum.
  console.error(error.message)
  process.exitCode = 1
})
