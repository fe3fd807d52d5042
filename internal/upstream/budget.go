package upstream

import (
	"sync"
	"sync/atomic"

	"github.com/failsafe-go/failsafe-go"
	failsafebudget "github.com/failsafe-go/failsafe-go/budget"
)

// budgetBurst is the initial and the maximum balance of the budget, in retries.
const budgetBurst = 10

// budget bounds retries and hedges to a share of all calls: each call deposits the share, each
// retry withdraws 1 (Finagle's RetryBudget). failsafe-go's own budget bounds the retries in
// flight, which does not limit retries of calls that fail fast. This one has its methods.
type budget struct {
	share float64

	mu     sync.Mutex
	tokens float64

	exhausted atomic.Int64 // retries and hedges that were not made
}

func newBudget(share float64) *budget {
	b := &budget{share: share}
	if share > 0 {
		b.tokens = budgetBurst
	}
	return b
}

func (b *budget) deposit() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+b.share, budgetBurst)
}

// left is the number of retries that the budget allows now.
func (b *budget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// Rate implements failsafe-go's budget: the used share, from 0 to 1.
func (b *budget) Rate() float64 { return 1 - b.left()/budgetBurst }

// TryAcquirePermit withdraws a retry.
func (b *budget) TryAcquirePermit() bool { return b.take(1) }

// take withdraws 1 if the balance is at least least.
func (b *budget) take(least float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < least {
		return false
	}
	b.tokens--
	return true
}

// OnBudgetExceeded counts a retry or hedge that was not made.
func (b *budget) OnBudgetExceeded(failsafebudget.ExecutionType, failsafe.ExecutionInfo) {
	b.exhausted.Add(1)
}

// RecordExecution does nothing: withdrawals are final.
func (b *budget) RecordExecution() {}

// ReleaseExecution does nothing.
func (b *budget) ReleaseExecution() {}

// ReleasePermit does nothing.
func (b *budget) ReleasePermit() {}
