#!/usr/bin/env ruby
# frozen_string_literal: true

# Delivers a recording from a BigBlueButton server to Meetingpool: into its spool directory, or by HTTPS.
#
# BBB runs it from core/scripts/post_publish after each format that it has published, as `-m RECORD_ID -f FORMAT`. Every archive
# holds all formats that are published by then. What could not be delivered stays published, and goes with the next format or
# with meetingpool_batch_delivery.sh.
#
# Settings are in core/scripts/meetingpool.yml, or in Scalelite's scalelite.yml; README.md explains them.
# Exit codes: 0 delivered, or nothing to deliver; 1 not delivered; 2 wrong usage or settings.

require 'digest'
require 'fileutils'
require 'logger'
require 'net/http'
require 'openssl'
require 'optparse'
require 'time'
require 'uri'
require 'yaml'

module Meetingpool
  RECORD_ID = /\A[0-9a-f]{40,64}-[0-9]{13}(-[0-9]{13})?\z/
  FORMAT = /\A[a-z0-9_-]{1,32}\z/
  # With these rsync writes under the final name, where the other side may take what is not yet complete.
  UNSAFE_OPTIONS = /\A--(inplace|append|append-verify|write-devices|remove-source-files)\z/
  UPLOAD_URL = %r{\Ahttps://([\w.-]+|\[[\h:.]+\])(:\d{1,5})?(/[\w.~-]+)+\z}
  UPLOAD_TOKEN = /\A[0-9a-f]{64}\z/

  class DeliveryFailed < StandardError; end
  class InvalidSettings < StandardError; end

  # What BBB and the administrator have set. `scripts` is BBB's directory core/scripts.
  class Settings
    BBB_FILES = ['bigbluebutton.yml', '/etc/bigbluebutton/recording/recording.yml'].freeze

    def initialize(scripts)
      @bbb = BBB_FILES.map { |name| read(File.expand_path(name, scripts)) }.reduce(:merge)
      @own = %w[meetingpool.yml scalelite.yml].map { |name| File.join(scripts, name) }.find { |path| File.file?(path) }
      raise InvalidSettings, "there is no meetingpool.yml in #{scripts}" unless @own

      @own = read(@own)
    end

    def published_dir
      @bbb['published_dir'] || '/var/bigbluebutton/published'
    end

    def status_dir
      File.join(recording_dir, 'status')
    end

    def work_dir
      @own['work_dir'] || File.join(recording_dir, 'meetingpool')
    end

    # A path, [user@]host:path, or rsync://host/module/path.
    def spool_dir
      spool = @own['spool_dir'].to_s
      raise InvalidSettings, 'neither spool_dir nor upload_url is set' if spool.empty?
      raise InvalidSettings, 'spool_dir is a path, [user@]host:path or rsync://host/path' if spool.start_with?('-')

      spool
    end

    # Whether archives go to upload_url; otherwise they go to spool_dir.
    def upload?
      uploads, spools = %w[upload_url spool_dir].map { |name| !@own[name].to_s.empty? }
      raise InvalidSettings, 'spool_dir and upload_url must not both be set' if uploads && spools

      uploads
    end

    # As https://host/bigbluebutton/uploads/server.
    def upload_url
      url = @own['upload_url'].to_s
      raise InvalidSettings, 'upload_url is not an address that begins with https://' unless url.match?(UPLOAD_URL)

      url
    end

    # Nothing that is said about it shows it.
    def upload_token
      path = @own['upload_token_file']
      token = (path ? File.binread(path.to_s) : @own['upload_token'].to_s).strip
      return token if token.match?(UPLOAD_TOKEN)

      raise InvalidSettings, "#{path ? 'upload_token_file does not hold' : 'upload_token is not'} a token of 64 digits"
    rescue SystemCallError => e
      raise InvalidSettings, "upload_token_file cannot be read: #{e.message}"
    end

    # Minutes without progress after which an upload is given up until somebody calls again.
    def upload_patience
      minutes = Float(@own.fetch('upload_patience', 10))
      raise ArgumentError unless minutes >= 0

      minutes
    rescue ArgumentError, TypeError
      raise InvalidSettings, 'upload_patience must be a number of minutes'
    end

    # Raises InvalidSettings unless it is clear where archives go.
    def require_target
      upload? ? [upload_url, upload_token, upload_patience] : [spool_dir, rsync_options]
    end

    def rsync_options
      options = Array(@own['extra_rsync_opts']).map(&:to_s)
      unsafe = options.find { |option| option.match?(UNSAFE_OPTIONS) }
      raise InvalidSettings, "extra_rsync_opts must not hold #{unsafe}" if unsafe

      options
    end

    def delete_recording?
      @own['delete_recording'] == true
    end

    def prune_after_days
      Float(@own.fetch('prune_after_days', 4))
    rescue ArgumentError, TypeError
      raise InvalidSettings, 'prune_after_days must be a number'
    end

    # Where to ask what the balancer has, as https://host/bigbluebutton/api; nil when nobody is to ask.
    def balancer_url
      url = @own['balancer_url']
      raise InvalidSettings, 'balancer_url is not an address' unless url.nil? || url.to_s.match?(%r{\Ahttps?://[^/\s]+/\S+\z})

      url
    end

    def balancer_secret
      secret = @own['balancer_secret'].to_s
      raise InvalidSettings, 'balancer_secret is not set' if secret.empty?

      secret
    end

    # The formats that BBB is going to publish of every recording; nil for a BBB that does not say.
    def expected_formats
      return nil unless @bbb['steps'].is_a?(Hash)

      @bbb['steps'].to_a.flatten.filter_map { |step| step.to_s[/\Apublish:(.+)\z/, 1] }.uniq
    end

    def logger(name)
      path = File.join(@bbb['log_dir'] || '/var/log/bigbluebutton', name)
      Logger.new(File.writable?(File.exist?(path) ? path : File.dirname(path)) ? path : $stderr)
    end

    private

    def recording_dir
      @bbb['recording_dir'] || '/var/bigbluebutton/recording'
    end

    def read(path)
      values = File.file?(path) ? YAML.safe_load(File.read(path), aliases: true) : {}
      raise InvalidSettings, "#{path} does not hold settings" unless values.nil? || values.is_a?(Hash)

      values || {}
    rescue Psych::Exception
      raise InvalidSettings, "#{path} is not YAML"
    end
  end

  # One recording on this server, and how far it has come.
  class Recording
    attr_reader :id

    def initialize(id, settings)
      @id = id
      @settings = settings
    end

    # The formats whose files are in the published directory, complete or not.
    def formats
      names = Dir.exist?(@settings.published_dir) ? Dir.children(@settings.published_dir).grep(FORMAT).sort : []
      names.select { |name| File.file?(File.join(@settings.published_dir, name, @id, 'metadata.xml')) }
    end

    # BBB copies a format file by file, and says so when it has them all.
    def done?(format)
      File.exist?(status("#{@id}-#{format}.done"))
    end

    # As of when it was delivered last; nil when it never was.
    def delivered_at
      File.mtime(sender_file)
    rescue Errno::ENOENT
      nil
    end

    # Whether all that is published has been delivered, and nothing was published since.
    def delivered?
      at = delivered_at
      at && done_files.all? { |path| File.mtime(path) < at }
    end

    # The formats that BBB is still to publish, those that failed included; nil for a BBB that does not say.
    def missing_formats
      @settings.expected_formats&.reject { |format| done?(format) }
    end

    def failed?(format)
      %w[processed published].any? { |step| File.exist?(status("#{@id}-#{format}.fail", step)) }
    end

    # Says that it was delivered if the block does, as it was before. What is published meanwhile is newer than that.
    def delivering
      beside = "#{sender_file}.#{Process.pid}"
      File.write(beside, "Published #{@id}\n")
      File.rename(beside, sender_file) if yield
    ensure
      FileUtils.rm_f(beside)
    end

    # From this server, with all that it was made of.
    def delete_here
      system('bbb-record', '--delete', @id, out: File::NULL) || raise(DeliveryFailed, 'bbb-record did not delete it')
      FileUtils.rm_f(sender_file)
    end

    # Nobody else delivers or deletes it meanwhile. Waits for whoever does now.
    def locked
      FileUtils.mkdir_p(@settings.work_dir)
      give_to_bbb(@settings.work_dir)
      path = File.join(@settings.work_dir, "#{@id}.lock")
      lock = open_lock(path)
      yield
    ensure
      FileUtils.rm_f(path) if lock
      lock&.close
    end

    private

    def status(name, step = 'published')
      File.join(@settings.status_dir, step, name)
    end

    # What root has made must not lock out the user that BBB runs as.
    def give_to_bbb(path)
      return unless Process.uid.zero?

      owner = File.stat(@settings.status_dir)
      File.chown(owner.uid, owner.gid, path)
    end

    # The name that Scalelite's scripts give it.
    def sender_file
      status("#{@id}-sender.done")
    end

    # Those of a part of the meeting have the same beginning, and a time behind it.
    def done_files
      Dir.glob(status("#{@id}-*.done")).grep_v(/#{@id}-([0-9]{13}-|sender\.)/)
    end

    # The file may have been removed by who held the lock before, and made anew by somebody else.
    def open_lock(path)
      loop do
        lock = File.open(path, File::RDWR | File::CREAT, 0o660)
        give_to_bbb(path)
        lock.flock(File::LOCK_EX)
        return lock if File.exist?(path) && File.stat(path).ino == lock.stat.ino

        lock.close
      rescue Errno::ENOENT
        lock&.close
      end
    end
  end

  # Brings an archive to Meetingpool by HTTPS, in pieces. One that was interrupted, even in an earlier run, goes on where it was.
  class Upload
    # Bytes that are sent at once, and held in memory.
    PIECE = 16 * 1024 * 1024
    # Seconds.
    LONGEST_PAUSE = 60
    # At the end of an archive Meetingpool reads all of it.
    CONNECTION = {
      use_ssl: true, verify_mode: OpenSSL::SSL::VERIFY_PEER, min_version: OpenSSL::SSL::TLS1_2_VERSION,
      open_timeout: 20, write_timeout: 60, read_timeout: 300, max_retries: 0
    }.freeze
    BROKEN = [
      SystemCallError, SocketError, IOError, Timeout::Error, OpenSSL::SSL::SSLError,
      Net::ProtocolError, Net::HTTPBadResponse, Net::HTTPHeaderSyntaxError
    ].freeze
    PASSING = %w[408 409 423 429 500 502 503 504 507].freeze
    REFUSALS = {
      '401' => 'it does not take the token: `meetingpool servers upload-token` prints the right one, unless the server is disabled',
      '404' => 'it takes no uploads at upload_url, or no recordings at all',
      '413' => 'the archive is larger than MEETINGPOOL_RECORDING_MAX_BYTES, or a piece larger than a proxy lets through'
    }.freeze
    # An archive that arrives as something else is sent anew so often.
    MOST_BEGINNINGS = 3

    # Something that may pass. `retry_after`: seconds in which it will not.
    class Interrupted < StandardError
      attr_reader :retry_after

      def initialize(message, retry_after = 0)
        super(message)
        @retry_after = retry_after
      end
    end

    def initialize(archive, id, settings, log)
      @archive = archive
      @id = id
      @log = log
      @length = File.size(archive)
      @address = URI("#{settings.upload_url}/#{id}/#{Digest::SHA256.file(archive).hexdigest}")
      @token = settings.upload_token
      @patience = settings.upload_patience * 60
      @beginnings = 1
      begin_at(0)
    end

    # Raises DeliveryFailed when it is refused, or when nothing goes on any more.
    def run
      connected do |connection|
        offset = ask(connection)
        offset = bring_piece(connection, offset) while offset
      end
    rescue Interrupted => e
      pause(e)
      retry
    end

    private

    def connected
      connection = unbroken { Net::HTTP.start(@address.hostname, @address.port, CONNECTION) }
      yield connection
    ensure
      connection.finish if connection&.started?
    end

    # How many bytes are there; nil when all of it was taken.
    def ask(connection)
      answer = call(connection, Net::HTTP::Head.new(@address.path))
      refuse(answer) unless answer.code == '200'
      progress_in(answer)
    end

    # As `ask`, with one piece more. Of an archive that is there but was not taken yet, nothing is left to send.
    def bring_piece(connection, offset)
      request = Net::HTTP::Patch.new(@address.path, 'Upload-Offset' => offset.to_s, 'Upload-Length' => @length.to_s)
      request.content_type = 'application/octet-stream'
      request.body = File.binread(@archive, PIECE, offset) || ''
      answer = call(connection, request)
      begin_anew if answer.code == '422'
      refuse(answer) unless %w[201 204].include?(answer.code)
      offset = progress_in(answer)
      raise Interrupted, 'nothing of the piece was taken' unless offset.nil? || offset > request['Upload-Offset'].to_i

      offset
    end

    def call(connection, request)
      request['Authorization'] = "Bearer #{@token}"
      unbroken { connection.request(request) }
    end

    def unbroken
      yield
    rescue *BROKEN => e
      raise DeliveryFailed, "the certificate of #{@address.host} is not good: #{e.message}" if e.message.include?('certificate')

      raise Interrupted, e.message
    end

    def progress_in(answer)
      return nil if answer['Upload-Complete'] == '?1'

      offset = Integer(answer['Upload-Offset'].to_s, 10, exception: false)
      raise DeliveryFailed, 'upload_url is not answered by Meetingpool' unless offset&.between?(0, @length)

      begin_at(offset) if offset > @reached
      offset
    end

    def begin_at(offset)
      @reached = offset
      @pause = 1
      @give_up_at = now + @patience
    end

    def begin_anew
      raise DeliveryFailed, 'what arrives is not what was sent' if @beginnings == MOST_BEGINNINGS

      @beginnings += 1
      begin_at(0)
      raise Interrupted, 'what arrived is not what was sent'
    end

    def refuse(answer)
      said = "Meetingpool answered with status #{answer.code}"
      raise Interrupted.new(said, retry_after(answer)) if PASSING.include?(answer.code)

      raise DeliveryFailed, [said, REFUSALS[answer.code]].compact.join(': ')
    end

    # In seconds; it may be said as a date too.
    def retry_after(answer)
      said = answer['Retry-After'].to_s
      [Integer(said, 10, exception: false) || (Time.httpdate(said) - Time.now), 0].max
    rescue ArgumentError
      0
    end

    def pause(interruption)
      seconds = [@pause, interruption.retry_after].max
      raise DeliveryFailed, interruption.message if now + seconds > @give_up_at

      @log.warn("#{@id}: #{interruption.message}; #{@reached} of #{@length} bytes are there; trying again in #{seconds.ceil} s")
      sleep(seconds)
      @pause = [2 * @pause, LONGEST_PAUSE].min
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end

  # Brings one recording to Meetingpool.
  class Delivery
    def initialize(recording, settings, log)
      @recording = recording
      @settings = settings
      @log = log
    end

    # `format` has just been published; nil when somebody calls by hand. Raises DeliveryFailed.
    def run(format)
      @recording.locked do
        delivered = @recording.delivering { deliver(complete_formats(format)) }
        delete if delivered && @settings.delete_recording?
      end
    end

    private

    # All of them, where BBB says of none that it is complete: its status files may have been cleared away.
    def complete_formats(format)
      formats = @recording.formats
      complete = formats.select { |name| name == format || @recording.done?(name) }
      complete.empty? && format.nil? ? formats : complete
    end

    # Whether there was something to deliver.
    def deliver(formats)
      if formats.empty?
        @log.info("#{@recording.id}: nothing is published")
        return false
      end
      send_archive(formats)
      @log.info("#{@recording.id}: delivered #{formats.join(', ')}")
      true
    end

    def send_archive(formats)
      archive = File.join(@settings.work_dir, "#{@recording.id}.tar")
      pack(formats, archive)
      transfer(archive)
    ensure
      FileUtils.rm_f(archive)
    end

    def pack(formats, archive)
      trees = formats.map { |name| "#{name}/#{@recording.id}" }
      options = ['--format=gnu', '--hard-dereference', '--owner=0', '--group=0', '--numeric-owner', '--sort=name']
      run_program('tar', '--create', '--file', archive, *options, '--directory', @settings.published_dir, '--', *trees)
    end

    # rsync writes beside, under a name with a dot, and renames.
    def transfer(archive)
      return Upload.new(archive, @recording.id, @settings, @log).run if @settings.upload?

      spool = @settings.spool_dir
      raise DeliveryFailed, "the spool directory #{spool} is not there" unless spool.include?(':') || File.directory?(spool)

      run_program('rsync', '--protect-args', '--timeout=600', *@settings.rsync_options, '--', archive, "#{spool.chomp('/')}/")
    end

    def run_program(name, *arguments)
      succeeded = system(name, *arguments, out: File::NULL)
      raise DeliveryFailed, succeeded.nil? ? "#{name} is not installed" : "#{name} failed" unless succeeded
    end

    def delete
      return @log.info("#{@recording.id}: kept, since more of it may be published") unless @recording.missing_formats == []

      @recording.delete_here
      @log.info("#{@recording.id}: deleted from this server")
    end
  end

  def self.options(arguments)
    chosen = {}
    parser = OptionParser.new do |known|
      known.banner = 'Usage: meetingpool_post_publish.rb -m RECORD_ID [-f FORMAT]'
      known.on('-m', '--meeting-id ID', 'the recording') { |id| chosen[:id] = id }
      known.on('-f', '--format FORMAT', 'the format that has just been published') { |name| chosen[:format] = name }
    end
    parser.parse!(arguments)
    raise OptionParser::InvalidArgument, '-m must be the id of a recording' unless RECORD_ID.match?(chosen[:id].to_s)
    raise OptionParser::InvalidArgument, '-f must be the name of a format' unless FORMAT.match?(chosen[:format] || 'none')

    chosen
  end

  # The exit code.
  def self.post_publish(arguments, scripts)
    chosen = options(arguments)
    settings = Settings.new(scripts)
    settings.require_target
    log = settings.logger('meetingpool-delivery.log')
    Delivery.new(Recording.new(chosen[:id], settings), settings, log).run(chosen[:format])
    0
  rescue OptionParser::ParseError, InvalidSettings => e
    warn "meetingpool_post_publish: #{e.message}"
    2
  rescue DeliveryFailed, SystemCallError => e
    log&.error("#{chosen[:id]}: not delivered: #{e.message}")
    warn "meetingpool_post_publish: #{chosen[:id]} was not delivered: #{e.message}"
    1
  end
end

if File.identical?(__FILE__, $PROGRAM_NAME)
  # Not __dir__: the script may be a link to where it is kept.
  scripts = File.expand_path('../..', File.absolute_path($PROGRAM_NAME))
  exit Meetingpool.post_publish(ARGV, scripts)
end
