"""Processes that take their work from a queue, and change their configuration between two items.

`python -m confcast.examples.queue_consumer` makes a file of its own, changes that file half way, and prints which item
was done under which version. With `--config FILE` the program reads your file and does not write it: edit the file
meanwhile, or `kill -HUP` the program. `settings.py` declares, `consumer.py` works, `__main__.py` starts both.

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

- The child that a pool starts in place of another (after `maxtasksperchild`, or a kill) attaches with the newest
  version. When a child of a `Pool` is killed, its task never ends (Pool's own behaviour: wait with a timeout). When a
  child of a `ProcessPoolExecutor` is killed, the executor is broken, and a new one works.
- `settings` may be an argument of a task, and becomes the replica of the process that runs the task. No value of the
  configuration is sent along.
- HUP for the master reloads. HUP for the whole process group has the same effect: an attached child ignores the signal,
  and a forked child has the master's handler, which does nothing there. multiprocessing's fork server does die of HUP:
  with that start method send HUP to the master only.
- The manager's thread in the master is safe beside a `Pool`, which forks from a thread of its own. To have no thread,
  use `supervise="caller"`, and `ensure_owner()` in your loop.
- End the pool first, then the manager. In the other order the children keep their version, and a child that the pool
  starts finds no owner; a Pool would start children without end.
- After `kill -9` of the master the owner exits and removes its directory. Children of a Pool end when the pool's pipes
  are closed. Children of a ProcessPoolExecutor, and your own processes, must notice the master's end by themselves, as
  in `consumer.py`.
"""
