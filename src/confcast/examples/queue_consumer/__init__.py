"""Processes that take their work from a queue, and change their configuration between two items.

`python -m confcast.examples.queue_consumer` runs it: it makes its own file, changes it half way, and says which item
was done under which version. `--config FILE` uses yours and does not touch it: edit it meanwhile, or `kill -HUP` the
program. `settings.py` declares, `consumer.py` works, `__main__.py` starts it all.

The recipe, for every way to have processes:

    # settings.py
    settings = Replica(Settings, name="app")

    # tasks.py
    def task(item):
        with settings.pin() as config:  # one item, one version
            ...

    # the main program
    if __name__ == "__main__":
        with ConfigReloadManager(loader) as manager:                               # before the processes
            with multiprocessing.Pool(4, initializer=settings.attach) as pool:     # fork, spawn, forkserver
                pool.map(task, items)
            with ProcessPoolExecutor(4, initializer=settings.attach) as executor:  # with any mp_context
                executor.submit(task, item)
            process = multiprocessing.Process(target=consume, args=(settings, queue))  # which calls settings.attach()

What holds:

- A child that a pool replaces (`maxtasksperchild`, or one that was killed) attaches anew, with the newest version. The
  task that a killed child of a `Pool` had never ends (that is Pool's: wait with a timeout); a `ProcessPoolExecutor` is
  broken by it, and a new one works.
- `settings` may be an argument of a task: it arrives as the replica of the process that runs the task. No value of the
  configuration is sent along.
- HUP for the master reloads. HUP for the whole process group does no more: a child that has attached ignores it, and a
  forked one has the master's handler, which does nothing in it. multiprocessing's own fork server does die of it: with
  that start method send HUP to the master alone.
- Nobody needs a thread of the manager's in the master, and a Pool forks from one of its own: both are safe. Where no
  thread is wanted, `supervise="caller"` and `ensure_owner()` in your loop.
- End the pool first, then the manager. The other way round the children keep what they have, and one that the pool
  replaces finds no owner; a Pool starts another in its place for ever.
- After `kill -9` of the master the owner leaves, and takes its folder along. Children of a Pool leave as the pool's
  pipes end; those of a ProcessPoolExecutor, and processes of your own, must see to their end themselves, as
  `consumer.py` does.
"""
